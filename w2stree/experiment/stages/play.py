"""Stages in which policies play episodes: random play, exploration, evaluation."""

from __future__ import annotations

import functools
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from w2stree.errors import (
    ExplorationFailure,
    IdenticalTrajectories,
    RowWarning,
    SamplesUnfinished,
)
from w2stree.experiment.config import Config
from w2stree.experiment.methods import sft
from w2stree.experiment.methods.best_of_m import best_runs
from w2stree.experiment.methods.method import Method
from w2stree.experiment.parts import Played
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.elsewhere import elsewhere, evaluated_elsewhere
from w2stree.experiment.stages.journals import journal_of, outlived
from w2stree.experiment.stages.makers import Maker
from w2stree.experiment.stages.players import Players
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.executor import Executor, LocalExecutor
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.rollouts.outcome import Outcome
from w2stree.rollouts.recombination.paths import was_cut_short
from w2stree.rollouts.rollout import EpisodePlan, opening
from w2stree.rollouts.tally import num_unparsed
from w2stree.rollouts.task_choice import TaskChoice
from w2stree.trajectories.files import read_trajectories, write_trajectories
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.times import stage_times
from w2stree.trajectories.trajectory import Trajectory

GREEDY = Sampling(temperature=0.0)

SAMPLES_FILE = "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Explorer:
    """Who explores which tasks, in a stage of its own.

    stage                 who            tasks
    explore               weak model     those to explore
    explore_strong        strong model   the same
    explore_demonstrated  strong model   those that were demonstrated to it
    explore_held_out      weak model     those that are tested: nothing is trained on them
    """

    stage: str
    role: Literal["weak", "strong"]
    part: Played

    def samplings(self, config: Config) -> tuple[Sampling, ...] | None:
        """Those of its model; the strong one's are the weak one's where it has none."""
        if self.role == "strong" and config.explore_strong.samplings is not None:
            return config.explore_strong.samplings
        return config.explore.samplings

    def reads(self, config: Config) -> tuple[str, ...]:
        """The keys that `samplings` reads."""
        if self.role == "weak":
            return ("explore",)
        is_as_weak = config.explore_strong.samplings is None
        return ("explore_strong", *(("explore.samplings",) if is_as_weak else ()))

    @property
    def model_stage(self) -> str:
        return (sft.WEAK if self.role == "weak" else sft.STRONG).name


WEAK = Explorer("explore", "weak", "explore")
EXPLORERS = (
    WEAK,
    Explorer("explore_strong", "strong", "explore"),
    Explorer("explore_demonstrated", "strong", "demonstrations"),
    Explorer("explore_held_out", "weak", "evaluated"),
)


def random_play(context: Context, out: StageWriter) -> None:
    """Random play over the pretraining games, which are TextWorldExpress's whatever the run's own
    environment is; rewards are recorded but never used.

    None of its games opens as another one does, or as a task of the run's other parts. Games that
    differ in parameters alone have tasks of the same ids: each is the next sample of its id.
    """
    pretrain = context.config.strong.pretrain
    assert pretrain is not None
    trajectories: list[Trajectory] = []
    taken = context.parts().taken()
    num_repeated = 0
    played_before: Counter[str] = Counter()
    for number, game in enumerate(pretrain.games):
        name = f"strong.pretrain.games.{number}"
        with game.options(pretrain.max_steps).pool() as pool:
            choice = TaskChoice(pool, seed=context.config.tasks.seed, taken=taken)
            chosen = choice.take(name, "train", game.episodes)
            taken |= dict.fromkeys(chosen.openings.values(), name)
            num_repeated += chosen.num_repeated
            wanted = plan_episodes(chosen.task_ids, [Sampling()], seed=context.seed("random_play"))
            wanted = [_after(played_before, plan) for plan in wanted]
            played_before.update(chosen.task_ids)
            policy = RandomPolicy(by_verb=True)
            trajectories += context.play(f"random_play {game.game}", pool, policy, wanted)
    record(out, trajectories)
    out.metrics["num_repeated"] = num_repeated


def _after(played_before: Mapping[str, int], plan: EpisodePlan) -> EpisodePlan:
    """The next sample of its task id, which draws what the first one does: what a game is played
    like does not depend on the games before it."""
    sample = played_before.get(plan.task_id, 0)
    return replace(plan, sample_index=sample, stream=plan.sample_index)


def explore(context: Context, out: StageWriter, explorer: Explorer = WEAK) -> None:
    """A model plays every one of some tasks under M sampling configurations.

    Episodes are kept in a journal until the stage is complete: a killed run goes on with it.
    """
    stage = explorer.stage
    samplings = explorer.samplings(context.config)
    assert samplings is not None
    explored = context.task_ids(explorer.part)
    wanted = plan_episodes(explored, samplings, seed=context.seed(stage))
    path = journal_of(context, out, stage)
    started = time.perf_counter()
    with (
        closing(Players(context)) as players,
        Journal(path) as journal,
        _executor_of(context, journal, players, explorer) as executor,
        context.bar.steps(f"{stage} episodes") as update,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", IdenticalTrajectories)  # the tree stage tells of them
        warnings.simplefilter("ignore", SamplesUnfinished)  # told below, by this stage's words
        exploration = Exploration(
            journal,
            executor,
            max_attempts=context.config.explore.max_attempts,
            times=stage_times(context.run_dir, stage),
            progress=lambda state: update(state.num_settled, state.num_planned, state.figures()),
        )
        exploration.play(wanted)
    seconds = time.perf_counter() - started
    outcome = exploration.outcome()
    if not outcome.is_well:
        _say_what_failed(stage, outcome)
    record(out, list(read_trajectories(path)))
    out.metrics["num_failed"] = len(outcome.failed)
    if context.cluster is None:  # elsewhere nobody counts them by the second
        out.metrics["generated_tokens_per_s"] = players.num_generated_tokens / seconds
    out.outlived += outlived(context.run_dir, stage)


@contextmanager
def _executor_of(
    context: Context, journal: Journal, players: Players, explorer: Explorer
) -> Iterator[Executor]:
    """Who plays an exploration: this run's environments, or the machines of its cluster."""
    if context.cluster is None:
        policy = functools.partial(players.of, explorer.role)
        instruction = context.config.prompt.instruction
        yield LocalExecutor(context.pool(), policy, instruction=instruction)
        return
    models = {s.model for s in explorer.samplings(context.config) or ()}
    makers = {model: players.maker(explorer.role, model) for model in models}
    with elsewhere(context, journal, makers) as executor:
        yield executor


def explored_before(context: Context, out: StageWriter) -> None:
    """The runs of `explore.trajectories`, of the tasks that are explored here: none is played.

    They open as this run's episodes do, whatever instruction they were played by; `num_reopened`
    counts those that had another one. What the environment answered is taken as it was recorded
    (`w2stree verify` plays it again).
    """
    explored = context.explored()
    assert explored is not None
    environment, task_ids = context.pool()[0], context.task_ids("explore")
    instruction = context.config.prompt.instruction
    runs: list[Trajectory] = []
    num_reopened = 0
    for task_id in context.bar(task_ids, total=len(task_ids), what="explore tasks"):
        statement, _ = environment.call("reset", task_id)
        of_task, num_others = explored.opened(task_id, statement, opening(instruction, statement))
        runs += of_task
        num_reopened += num_others
    if num_reopened:
        warnings.warn(
            f"explore.trajectories: {num_reopened} of {len(runs)} runs were played by another "
            "instruction than prompt.instruction, and are learned from as if by this one",
            RowWarning,
            stacklevel=2,
        )
    record(out, runs)
    out.metrics["num_reopened"] = num_reopened


def _say_what_failed(stage: str, outcome: Outcome) -> None:
    """Raises `ExplorationFailure` where nothing was finished: there is nothing to learn from."""
    words = "\n".join([f"{stage}:", *outcome.in_words("explore.max_attempts")])
    if outcome.is_empty:
        raise ExplorationFailure(f"{words}\nno sample was played to its end: mend the cause first")
    warnings.warn(words, SamplesUnfinished, stacklevel=2)


def evaluate(context: Context, out: StageWriter, method: Method) -> None:
    """One greedy episode of every task of the test panels and the dev panel; or of the episodes
    that a method draws the best, and all of them in `SAMPLES_FILE`."""
    samplings: Sequence[Sampling] = [GREEDY]
    if method.drawn is not None:
        samplings = method.drawn.samplings(context.config.settings(method))
    wanted = plan_episodes(context.task_ids("evaluated"), samplings, seed=context.seed("evaluate"))
    stage = f"evaluate_{method.name}"
    with closing(Players(context)) as players:
        if context.cluster is None:
            played = _evaluated(context, out, stage, _maker(players, method), wanted)
        else:
            played = evaluated_elsewhere(context, out, stage, _maker(players, method), wanted)
    out.outlived += outlived(context.run_dir, stage)
    if method.drawn is not None:
        played = _in_order(played)
        write_trajectories(out.folder / SAMPLES_FILE, played)
        out.metrics["num_samples"] = len(played)
        out.metrics["num_sample_errors"] = sum(t.status == "error" for t in played)
        played = best_or_error(played)
    record(out, played)


def best_or_error(played: Sequence[Trajectory]) -> list[Trajectory]:
    """Of each task the run of greatest return, ties to the first; where all ended in an error, the
    first of them, so that the task is counted as unplayed."""
    counted: dict[str, Trajectory] = {}
    for run in (*best_runs(played), *played):
        counted.setdefault(run.task_id, run)
    return list(counted.values())


def _maker(players: Players, method: Method) -> Maker:
    if method.policy is not None:
        return Maker(method.policy, is_model=False)
    assert method.model is not None
    return players.trained(method.model)


def _evaluated(
    context: Context, out: StageWriter, stage: str, maker: Maker, wanted: Sequence[EpisodePlan]
) -> list[Trajectory]:
    policy = maker()
    started = time.perf_counter()
    played = context.play(stage, context.pool(), policy, wanted)
    seconds = time.perf_counter() - started
    if maker.is_model:
        out.metrics["generated_tokens_per_s"] = policy.num_generated_tokens / seconds
    return played


def _in_order(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    """By task, then by sample: episodes end in any order."""
    return sorted(trajectories, key=lambda t: (t.task_id, t.origin.sample_index or 0))


def record(out: StageWriter, trajectories: list[Trajectory]) -> None:
    """Keep what a stage played, and its figures."""
    ordered = _in_order(trajectories)
    write_trajectories(out.folder / "trajectories.jsonl", ordered)
    scored = [t.total_return for t in ordered if t.status != "error"]
    out.metrics.update(
        num_trajectories=len(ordered),
        num_errors=len(ordered) - len(scored),
        mean_return=sum(scored) / max(1, len(scored)),
        num_steps=sum(len(t.steps) for t in ordered),
        num_unparsed=sum(num_unparsed(t) for t in ordered),
        num_cut_short=sum(map(was_cut_short, ordered)),
    )
