"""`w2stree export speedscope|timeline`: runs for other programs' eyes.

`convert` writes runs that can be read again and `view` our own page; what these write is to be
looked at elsewhere, and is read back by nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from w2stree.cli.choice import chosen_task
from w2stree.cli.extra import needs
from w2stree.cli.forests import (
    Embed,
    Guard,
    MinSimilarity,
    read_forest,
    rule_of,
)
from w2stree.cli.inputs import Source, takes_runs
from w2stree.cli.parameters import Normalize
from w2stree.cli.say import counted, say, warn
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.trajectories.trajectory import Trajectory

app = typer.Typer()

Output: TypeAlias = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="where to: a .json file")
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="write over a file that is there")]

_JOURNAL = "episodes.journal"


@app.callback()
def export() -> None:
    """Write runs for other programs' viewers: speedscope, Perfetto."""


@app.command()
@takes_runs
def speedscope(
    source: Source,
    output: Output,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="of this task alone, its id, or how the id begins",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    min_similarity: MinSimilarity = None,
    embed: Embed = None,
    normalize: Normalize = None,
    guard: Guard = True,
) -> int:
    """Write runs as a profile: where they went, action by action, as a flame graph.

    A stack is a task and the actions of a run, its weight the runs that took just these and ended
    there. Open the file at speedscope.app, or with its command line; "left heavy" puts the actions
    that most runs went by first, "sandwich" sums each action over all tasks. Of a run directory
    the explored runs are written.
    """
    from w2stree.viewer.speedscope import write_speedscope

    _refuse_written(output, force=force)
    rule = rule_of(min_similarity, embed, normalize, guard=guard)
    forest, runs = read_forest(source, rule, task=task)
    chosen = None if task is None else chosen_task(forest.task_ids, task)
    weight = write_speedscope(forest, output, title=runs.where, task_id=chosen)
    say(f"{visible(str(output))}: {counted(weight, 'run')}; open it at https://www.speedscope.app")
    say(runs.account())
    return 0


@app.command()
def timeline(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="a directory of w2stree explore or w2stree run, or a journal",
        ),
    ],
    output: Output,
    stage: Annotated[
        str, typer.Option(metavar="STAGE", help="of a run: which exploration")
    ] = "explore",
    force: Force = False,
) -> int:
    """Write an exploration as a timeline: which environment played what, and when.

    Each session is a process, each environment a thread, each episode a slice with its turns in
    it: what the policy took, what the environment took. Errors are marked. Open the file at
    ui.perfetto.dev, or chrome://tracing.
    """
    from w2stree.trajectories.times import read_times
    from w2stree.viewer.timeline import write_timeline

    _refuse_written(output, force=force)
    trajectories, file = _explored(run, stage)
    where = visible(str(run))
    if not file.is_file():
        raise InvalidInput(
            f"{where}: has no times of its {counted(len(trajectories), 'episode')} "
            f"({visible(file.name)}): an older version played them, or they were deleted; an "
            "exploration that is begun or gone on with today records them"
        )
    written = write_timeline(trajectories, read_times(file), output, title=where)
    say(
        f"{visible(str(output))}: {counted(written, 'episode')}; open it at https://ui.perfetto.dev"
    )
    if missing := len(trajectories) - written:
        warn(f"w2stree: {counted(missing, 'episode')} left out: no times of them are recorded")
    return 0


def _explored(run: Path, stage: str) -> tuple[Sequence[Trajectory], Path]:
    """The episodes of an exploration, and the file that has their times."""
    from w2stree.trajectories.files import read_trajectories
    from w2stree.trajectories.journal import read_journal
    from w2stree.trajectories.times import stage_times, times_file

    journal = run / _JOURNAL if run.is_dir() else run
    if journal.is_file() and journal.suffix == ".journal":
        return read_journal(journal).trajectories, times_file(journal)
    finished = run / stage / "trajectories.jsonl"
    if finished.is_file():
        return read_trajectories(finished), stage_times(run, stage)
    if unfinished := _unfinished(run, stage):
        return read_journal(unfinished).trajectories, stage_times(run, stage)
    raise InvalidInput(
        f"{visible(str(run))}: no exploration is there: neither {_JOURNAL} nor a stage "
        f"{visible(stage)} that has played; give a directory that w2stree explore or w2stree run "
        "made"
    )


def _unfinished(run: Path, stage: str) -> Path | None:
    """The newest journal of a stage that is under way."""
    if not run.is_dir():
        return None
    with needs("explore"):
        from w2stree.experiment.stages.journals import recorded_journals
    found = recorded_journals(run, stage)
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _refuse_written(output: Path, *, force: bool) -> None:
    if output.exists() and not force:
        raise InvalidInput(
            f"{visible(str(output))} is there: write it over with --force, or name another"
        )
