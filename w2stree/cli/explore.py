"""`w2stree explore`: play what is missing of an exploration, watch it, sum it up.

RUN_DIR/config.json         the configuration; another one is refused (but for `may_change`)
RUN_DIR/tasks.json          the tasks that are played, with their openings' hashes
RUN_DIR/episodes.journal    every finished attempt; `w2stree tree RUN_DIR` reads it
RUN_DIR/.episodes.journal.times   when each was played (`w2stree export timeline`)
RUN_DIR/cluster.json        with --engine: what its journals are called on other machines
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from w2stree.cli.before_models import before_models
from w2stree.cli.executors import Engine, LocalDir, executor_of, refuse_other_engines
from w2stree.cli.extra import needs
from w2stree.cli.parameters import LogJson, Overrides, RunDir
from w2stree.cli.progress import Bars, InWords, left
from w2stree.cli.say import say, warn
from w2stree.cli.summary import MOST_ROWS, print_summary
from w2stree.errors import ExplorationFailure, SamplesUnfinished
from w2stree.experiment.shipped import shipped_names
from w2stree.percent import percent
from w2stree.shorten import shorten
from w2stree.trajectories.lock import refuse_without

if TYPE_CHECKING:
    from w2stree.environments.hosting.pool import EnvironmentPool
    from w2stree.experiment.config.exploration import BranchingSection, ExplorationConfig
    from w2stree.rollouts.executor import Executor
    from w2stree.rollouts.exploration import Exploration, Progress
    from w2stree.trajectories.journal import Journal

JOURNAL = "episodes.journal"
TASKS = "tasks.json"

_CAUSE = 60  # columns of an error's cause
_SHOWN_PLACES = 5  # of a salvaged journal


def explore(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="a YAML file, or a shipped configuration: "
            f"{', '.join(shipped_names('configs/explorations'))}",
        ),
    ],
    override: Overrides = None,
    run_dir: RunDir = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="go on without a damaged journal's damaged frames")
    ] = False,
    every_task: Annotated[
        bool,
        typer.Option(
            "--every-task", help=f"a row for every task at the end, not for the {MOST_ROWS} worst"
        ),
    ] = False,
    log_json: LogJson = False,
    engine: Engine = None,
    local_dir: LocalDir = None,
) -> int:
    """Play tasks many times over into a journal.

    The same command goes on with a run that was interrupted. The exit status is 1 where nothing
    was played to its end, or where samples ended in errors alone.
    """
    refuse_without("w2stree explore")
    refuse_other_engines(engine, local_dir)
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
    exploration: Exploration | None = None
    try:
        with (
            held_run(folder, record, may_change=read.may_change(), read=today),
            Journal(path, salvage=salvage) as journal,
            read.environment.pool() as pool,
            Bars(as_json=log_json) as bars,
            bars.line("episodes") as show,
            executor_of(
                read, pool, journal, engine=engine, local_dir=local_dir, salvage=salvage
            ) as executor,
        ):
            _say_what_was_repaired(journal)
            exploration = _exploration(read, journal, executor, show)
            task_ids = _task_ids(read, journal, pool, folder / TASKS)
            if engine is not None:
                pool.drop(range(len(pool)))  # the tasks are chosen, and others play
            _play(read, exploration, journal, task_ids)
    except KeyboardInterrupt:
        if path.is_file():
            # One frame an episode, a line each; what is counted in memory may be one behind.
            with path.open("rb") as frames:
                warn(f"w2stree: {sum(1 for _ in frames):,} episodes are kept in {path}")
        raise
    except ExplorationFailure:
        if exploration is not None:
            print_summary(exploration, every_task=every_task)
        raise
    print_summary(exploration, every_task=every_task)
    if reason := exploration.spent():
        say(f"stopped: {reason}; the same command with a larger one goes on")
    say(f"journal: {path}")
    return 0 if exploration.outcome().is_well else 1


def _exploration(
    config: ExplorationConfig,
    journal: Journal,
    executor: Executor,
    show: InWords,
) -> Exploration:
    from w2stree.rollouts.exploration import Exploration
    from w2stree.trajectories.times import times_file

    return Exploration(
        journal,
        executor,
        budget=config.budget,
        max_attempts=config.max_attempts,
        times=times_file(journal.path),
        success_threshold=config.success_threshold,
        progress=lambda state: show(
            state.num_settled, state.num_planned, describe(state), figures_of(state)
        ),
    )


def _task_ids(
    config: ExplorationConfig, journal: Journal, pool: EnvironmentPool, file: Path
) -> list[str]:
    from w2stree.experiment.listed_actions import refuse_unlisted

    task_ids = _tasks(config, pool, file, is_begun=bool(journal.keys))
    if config.policy.chooser and task_ids:
        refuse_unlisted(config.environment, pool, task_ids[0])
    return task_ids


def _play(
    config: ExplorationConfig, exploration: Exploration, journal: Journal, task_ids: Sequence[str]
) -> None:
    """The plan from the roots, then, where there is one, the plan from the tree's nodes."""
    from w2stree.rollouts.exploration import plan_episodes

    plans = plan_episodes(task_ids, config.samplings, seed=config.seed)
    exploration.plan(plans)
    for line in exploration.outcome().given_up():
        warn(f"w2stree: {line}")
    warnings.simplefilter("ignore", SamplesUnfinished)  # the summary says it
    if exploration.play(plans) and config.branching:
        _branch(config, config.branching, exploration, journal)


def _branch(
    config: ExplorationConfig,
    section: BranchingSection,
    exploration: Exploration,
    journal: Journal,
) -> None:
    """Round after round, until one is ended by the budget: the nodes of the next would be others
    with all of its episodes."""
    from w2stree.rollouts.branching import plan_branches

    for num_before, num_episodes in section.rounds:
        known = range(len(config.samplings) + num_before)
        branches = plan_branches(
            [t for t in journal.episodes() if t.origin.sample_index in known],
            config.samplings,
            episodes_per_task=num_episodes,
            criterion=section.criterion,
            seed=config.seed,
            merging=config.merge,
            num_before=num_before,
        )
        if not exploration.play(branches):
            return


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
        what = "passed over" if tasks.distinct else "took"
        warn(f"w2stree: {what} {chosen.num_repeated} tasks that open as another one does")
    return chosen.task_ids


def describe(progress: Progress) -> str:
    """success 31%  1 errors (timeout)  3 turns without action  12.4/s  0:00:01 left  twc/6: 2/5

    Success is over all tasks so far ("-" before any run is finished), and of the last episode's
    task. Turns without an action are told of where there are any.
    """
    totals = progress.totals
    num_finished, num_unparsed = totals.num_finished, totals.num_unparsed
    task_id = progress.trajectory.task_id
    tally = progress.tallies[task_id]
    return "  ".join(
        [
            f"success {percent(totals.num_success / num_finished, 0)}"
            if num_finished
            else "success -",
            f"{progress.num_errors} errors{_commonest(progress)}",
            *([f"{num_unparsed} turns without action"] if num_unparsed else []),
            f"{progress.episodes_per_s:.1f}/s",
            left(progress.seconds_left),
            f"{task_id}: {tally.num_success}/{tally.num_finished}",
        ]
    )


def figures_of(progress: Progress) -> dict[str, Any]:
    """The same for programs: `Progress.figures`, and the last episode's task."""
    task_id = progress.trajectory.task_id
    tally = progress.tallies[task_id]
    return {
        **progress.figures(),
        "task": task_id,
        "num_task_runs": tally.num_finished,
        "num_task_successes": tally.num_success,
        "per_s": progress.episodes_per_s,
        "seconds_left": progress.seconds_left,
    }


def _commonest(progress: Progress) -> str:
    if not progress.causes:
        return ""
    return f" ({shorten(progress.causes[0].example, _CAUSE)})"


def _say_what_was_repaired(journal: Journal) -> None:
    if journal.num_torn_bytes:
        warn(
            f"w2stree: {journal.path}: cut off a torn last frame of {journal.num_torn_bytes} "
            "bytes; it was never acknowledged"
        )
    if journal.num_damaged:
        warn(
            f"w2stree: {journal.path}: went on without {journal.num_damaged} damaged places; the "
            f"original is beside it as {journal.path.name}.damaged"
        )
    for place in journal.damage[:_SHOWN_PLACES]:
        warn(f"w2stree: byte {place.offset}: {place.reason or 'no frame'} ({place.size} bytes)")
    if (more := journal.num_damaged - _SHOWN_PLACES) > 0:
        warn(f"w2stree: and {more} more places")
