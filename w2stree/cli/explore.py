"""`w2stree explore`: play what is missing of an exploration, watch it, sum it up.

RUN_DIR/config.json         the configuration; another one is refused (but for MAY_CHANGE)
RUN_DIR/episodes.journal    every finished attempt; `w2stree tree RUN_DIR` reads it
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from w2stree.cli.progress import ProgressLine
from w2stree.errors import MissingDependency

if TYPE_CHECKING:
    from w2stree.experiment.config.exploration import ExplorationConfig
    from w2stree.rollouts.exploration import Exploration
    from w2stree.rollouts.tally import TaskTally
    from w2stree.trajectories.journal import Journal

JOURNAL = "episodes.journal"
MAY_CHANGE = ("budget", "environment.num_processes", "max_attempts")
"""What a resumed run may set anew: it changes how much is played, never what."""


def explore(source: str, overrides: Sequence[str], run_dir: Path | None, *, salvage: bool) -> int:
    """Run the command; returns the exit status. Interrupting it leaves a run that goes on."""
    try:
        from w2stree.experiment.config.exploration import ExplorationConfig
        from w2stree.experiment.config.reading import read_config, recorded_today
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{error.name} is not installed: pip install 'w2stree[explore]'"
        ) from None
    from w2stree.experiment.run_directory import keep_config
    from w2stree.trajectories.journal import Journal

    config = read_config(ExplorationConfig, source, overrides)
    folder = run_dir or Path("runs") / config.name
    path = folder / JOURNAL
    keep_config(
        folder,
        config.model_dump(mode="json"),
        has_results=path.exists() and path.stat().st_size > 0,
        may_change=MAY_CHANGE,
        read=recorded_today(config),
    )
    with Journal(path, salvage=salvage) as journal:
        _say_what_was_repaired(journal)
        exploration = _play(config, journal)
    print(table(exploration.tallies))
    if reason := exploration.spent():
        print(f"stopped: {reason}; the same command with a larger one goes on")
    print(f"journal: {path}")
    return 0


def table(tallies: Mapping[str, TaskTally]) -> str:
    """A row for each task and one for all; diversity is distinct action sequences / runs."""
    header = ("task", "success", "return", "errors", "truncated", "tokens", "diversity")
    rows = [header, *(_row(task_id, (tally,)) for task_id, tally in tallies.items())]
    if len(tallies) > 1:
        rows.append(_row("all", tuple(tallies.values())))
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return "\n".join(
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def _row(name: str, tallies: Sequence[TaskTally]) -> tuple[str, ...]:
    num_finished = sum(tally.num_finished for tally in tallies)
    runs = max(1, num_finished)
    return (
        name,
        f"{sum(tally.num_success for tally in tallies)}/{num_finished}",
        f"{sum(tally.return_sum for tally in tallies) / runs:.2f}" if num_finished else "-",
        f"{sum(tally.num_errors for tally in tallies)}",
        f"{sum(tally.num_truncated for tally in tallies)}",
        f"{sum(tally.num_tokens for tally in tallies):,}",
        f"{sum(tally.num_distinct for tally in tallies) / runs:.2f}" if num_finished else "-",
    )


def _play(config: ExplorationConfig, journal: Journal) -> Exploration:
    """The plan from the roots, then, where there is one, the plan from the tree's nodes."""
    from w2stree.rollouts.branching import plan_branches
    from w2stree.rollouts.exploration import Exploration, choose_tasks, plan_episodes

    samplings = config.samplings
    with config.environment.pool() as pool, ProgressLine() as line:
        tasks = config.tasks
        task_ids = choose_tasks(pool, tasks.split, first=tasks.first, count=tasks.count)
        exploration = Exploration(
            journal,
            pool,
            config.policy.policy,
            instruction=config.instruction,
            budget=config.budget,
            max_attempts=config.max_attempts,
            success_threshold=config.success_threshold,
            progress=line.show,
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
            )
            exploration.play(branches)
    return exploration


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
