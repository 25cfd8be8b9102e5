"""`w2stree view`: a forest to browse, as one HTML file."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from w2stree.cli.choice import chosen_task
from w2stree.cli.forests import (
    Embed,
    Guard,
    MinGap,
    MinSimilarity,
    SuccessAt,
    of_a_run_directory,
    read_forest,
    rule_of,
)
from w2stree.cli.inputs import Source, takes_runs
from w2stree.cli.parameters import Normalize, whole_number
from w2stree.cli.say import counted, say
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.trajectories.trajectory import Trajectory
    from w2stree.viewer import MadeRow


@takes_runs
def view(
    source: Source,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="where to; a view that is there is replaced"
        ),
    ] = Path("view.html"),
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="of this task alone, its id, or how it begins; a saved forest opens at it",
            show_default=False,
        ),
    ] = None,
    node: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(at_least=0),
            metavar="N",
            help="open at this node of the forest",
            show_default=False,
        ),
    ] = None,
    recombined: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="show these paths, made of the runs, beside the trees (of a run directory: its "
            "own, unless given)",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="show these preference rows, made of these runs by w2stree pairs, where they were "
            "made",
            show_default=False,
        ),
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open", help="open it in the browser, once it is written")
    ] = False,
    min_gap: MinGap = 0.0,
    success_at: SuccessAt = None,
    min_similarity: MinSimilarity = None,
    embed: Embed = None,
    normalize: Normalize = None,
    guard: Guard = True,
) -> int:
    """Write one HTML file to browse runs as a forest: tasks, trees, every text whole.

    The file opens from disk, without a server and without a network. It has a table of tasks, each
    tree as a map and as an outline, every node's texts, two runs side by side from where they part,
    and a search of all texts. Addresses in it (#task=...&node=...) can be kept and sent.

    A saved forest is taken too, alone; it has no words of the agent. Of a run directory the
    explored runs are shown, and its recombined paths.
    """
    from w2stree.viewer import OpenAt, write_view
    from w2stree.viewer.page import is_view

    if output.exists() and not (output.is_file() and is_view(output)):
        raise InvalidInput(f"{output} is there and is no view: name another file")
    source, own_paths = of_a_run_directory(source)
    rule = rule_of(min_similarity, embed, normalize, guard=guard)
    forest, runs = read_forest(source, rule, task=task)
    chosen = None if task is None else chosen_task(forest.task_ids, task)
    opened = None if task is None and node is None else OpenAt(task=chosen, node=node)
    paths = _recombined(source, recombined or own_paths)
    made = [] if rows is None else _made(rows)
    write_view(
        forest,
        output,
        title=runs.where,
        places=runs.places,
        min_gap=min_gap,
        success_threshold=success_at,
        recombined=[path for path in paths if path.task_id in forest],
        rows=made,
        open_at=opened,
    )
    say(f"{visible(str(output))}: {output.stat().st_size / 1e6:.1f} MB; open it in a browser")
    say(runs.account())
    if num_others := sum(path.task_id not in forest for path in paths):
        say(f"{counted(num_others, 'recombined path')} left out: of tasks that are not shown")
    if open_it and not webbrowser.open(output.resolve().as_uri()):
        raise InvalidInput(f"{output}: no browser was found to open it")
    return 0


def _recombined(source: Source, path: str | None) -> Sequence[Trajectory]:
    return () if path is None else source.at(path).read().trajectories


def _made(path: Path) -> list[MadeRow]:
    from w2stree.rows.row_files import Kind, kind_of, read_rows
    from w2stree.viewer import made_row

    if (kind := kind_of(path)) is not Kind.PREFERENCES:
        raise InvalidInput(f"{visible(str(path))}: has {kind.value}, and no preference rows")
    file = read_rows(path)
    return [
        made_row(record, place) for record, place in zip(file.records, file.places, strict=True)
    ]
