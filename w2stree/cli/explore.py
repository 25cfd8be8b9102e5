"""`w2stree explore`: play what is missing of an exploration, watch it, sum it up.

RUN_DIR/config.json         the configuration; another one is refused (but for MAY_CHANGE)
RUN_DIR/tasks.json          the tasks that are played, with their openings' hashes
RUN_DIR/episodes.journal    every finished attempt; `w2stree tree RUN_DIR` reads it
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.extra import needs
from w2stree.cli.parameters import Overrides, RunDir
from w2stree.cli.progress import Bars, left, print_table

if TYPE_CHECKING:
    from w2stree.environments.hosting.pool import EnvironmentPool
    from w2stree.experiment.config.exploration import ExplorationConfig
    from w2stree.rollouts.exploration import Exploration, Progress
    from w2stree.rollouts.tally import TaskTally
    from w2stree.trajectories.journal import Journal

JOURNAL = "episodes.journal"
TASKS = "tasks.json"
MAY_CHANGE = ("budget", "environment.num_processes", "max_attempts")
"""What a resumed run may set anew: it changes how much is played, never what."""

_HEADER = ("task", "success", "return", "errors", "truncated", "unparsed", "tokens", "diversity")


def explore(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG", help="a YAML file, or a shipped configuration: textworld_random"
        ),
    ],
    override: Overrides = None,
    run_dir: RunDir = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="go on without a damaged journal's damaged frames")
    ] = False,
) -> int:
    """Play tasks many times over into a journal.

    The same command goes on with a run that was interrupted.
    """
    before_models()
    with needs("explore"):
        from w2stree.experiment.config.exploration import ExplorationConfig
        from w2stree.experiment.config.reading import read_config, recorded_today
    from w2stree.experiment.kept_config import held_run
    from w2stree.trajectories.journal import Journal

    read = read_config(ExplorationConfig, config, override or ())
    folder = run_dir or Path("runs") / read.name
    path = folder / JOURNAL
    if read.branching:
        read.merge.require()
    read.policy.refuse_absent_models()
    record, today = read.model_dump(mode="json"), recorded_today(read)
    with (
        held_run(folder, record, may_change=MAY_CHANGE, read=today),
        Journal(path, salvage=salvage) as journal,
    ):
        _say_what_was_repaired(journal)
        exploration = _play(read, journal, folder / TASKS)
    print_table(_HEADER, _rows(exploration.tallies))
    if reason := exploration.spent():
        print(f"stopped: {reason}; the same command with a larger one goes on")
    print(f"journal: {path}")
    return 0


def _rows(tallies: Mapping[str, TaskTally]) -> list[tuple[str, ...]]:
    """A row for each task and one for all. Unparsed are turns without an action, of all turns;
    diversity is distinct action sequences / runs."""
    rows = [_row(task_id, (tally,)) for task_id, tally in tallies.items()]
    if len(tallies) > 1:
        rows.append(_row("all", tuple(tallies.values())))
    return rows


def _row(name: str, tallies: Sequence[TaskTally]) -> tuple[str, ...]:
    num_finished = sum(tally.num_finished for tally in tallies)
    runs = max(1, num_finished)
    return (
        name,
        f"{sum(tally.num_success for tally in tallies)}/{num_finished}",
        f"{sum(tally.return_sum for tally in tallies) / runs:.2f}" if num_finished else "-",
        f"{sum(tally.num_errors for tally in tallies)}",
        f"{sum(tally.num_truncated for tally in tallies)}",
        f"{sum(tally.num_unparsed for tally in tallies)}/{sum(t.num_turns for t in tallies)}",
        f"{sum(tally.num_tokens for tally in tallies):,}",
        f"{sum(tally.num_distinct for tally in tallies) / runs:.2f}" if num_finished else "-",
    )


def _play(config: ExplorationConfig, journal: Journal, tasks_file: Path) -> Exploration:
    """The plan from the roots, then, where there is one, the plan from the tree's nodes."""
    from w2stree.experiment.listed_actions import refuse_unlisted
    from w2stree.rollouts.branching import plan_branches
    from w2stree.rollouts.exploration import Exploration, plan_episodes

    samplings = config.samplings
    with config.environment.pool() as pool, Bars() as bars, bars.line("episodes") as show:
        is_begun = next(journal.episodes(), None) is not None
        task_ids = _tasks(config, pool, tasks_file, is_begun=is_begun)
        if config.policy.chooser and task_ids:
            refuse_unlisted(config.environment, pool, task_ids[0])
        exploration = Exploration(
            journal,
            pool,
            config.policy.policy,
            instruction=config.instruction,
            budget=config.budget,
            max_attempts=config.max_attempts,
            success_threshold=config.success_threshold,
            progress=lambda state: show(state.num_settled, state.num_planned, describe(state)),
        )
        is_complete = exploration.play(plan_episodes(task_ids, samplings, seed=config.seed))
        if is_complete and config.branching:
            from_roots = [t for t in journal.episodes() if not t.origin.prefix_length]
            branches = plan_branches(
                [t for t in from_roots if t.origin.sample_index in range(len(samplings))],
                samplings,
                episodes_per_task=config.branching.episodes_per_task,
                criterion=config.branching.criterion,
                seed=config.seed,
                merging=config.merge,
            )
            exploration.play(branches)
    return exploration


def _tasks(
    config: ExplorationConfig, pool: EnvironmentPool, file: Path, *, is_begun: bool
) -> list[str]:
    """Those that an earlier session began to play, or chosen now and kept for later ones.

    Before any episode another configuration takes the folder over (`held_run`): what was chosen
    by the earlier one is chosen anew.
    """
    from w2stree.experiment.run_json import read_json, write_json
    from w2stree.rollouts.task_choice import Chosen, TaskChoice

    if is_begun and file.is_file():
        remedy = "put it back from a copy, or delete this file alone: tasks are chosen again"
        return Chosen.from_record(read_json(file, remedy=remedy), str(file)).task_ids
    tasks = config.tasks
    choice = TaskChoice(
        pool,
        seed=tasks.seed,
        task_type=config.environment.task_type,
        distinct=tasks.distinct,
    )
    chosen = choice.take("tasks", tasks.split, tasks.count)
    write_json(file, asdict(chosen))
    if chosen.num_repeated:
        print(
            f"w2stree: passed over {chosen.num_repeated} tasks that open as another one does",
            file=sys.stderr,
        )
    return chosen.task_ids


def describe(progress: Progress) -> str:
    """success 0.31  1 errors  3 turns without action  12.4/s  0:00:01 left  twc/train/6: 2/5

    Success is over all tasks so far, and of the last episode's task. Turns without an action are
    told of where there are any.
    """
    tallies = progress.tallies.values()
    num_finished = max(1, sum(tally.num_finished for tally in tallies))
    success = sum(tally.num_success for tally in tallies) / num_finished
    num_unparsed = sum(tally.num_unparsed for tally in tallies)
    task_id = progress.trajectory.task_id
    tally = progress.tallies[task_id]
    return "  ".join(
        [
            f"success {success:.2f}",
            f"{progress.num_errors} errors",
            *([f"{num_unparsed} turns without action"] if num_unparsed else []),
            f"{progress.episodes_per_s:.1f}/s",
            left(progress.seconds_left),
            f"{task_id}: {tally.num_success}/{tally.num_finished}",
        ]
    )


def _say_what_was_repaired(journal: Journal) -> None:
    if journal.num_torn_bytes:
        print(
            f"w2stree: {journal.path}: cut off a torn last frame of {journal.num_torn_bytes} "
            "bytes; it was never acknowledged",
            file=sys.stderr,
        )
    if journal.num_damaged:
        print(
            f"w2stree: {journal.path}: went on without {journal.num_damaged} damaged places; the "
            f"original is beside it as {journal.path.name}.damaged",
            file=sys.stderr,
        )
