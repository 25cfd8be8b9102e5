"""`w2stree view`: a forest to browse, as one HTML file or in the terminal."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from w2stree.cli.choice import chosen_task
from w2stree.cli.extra import needs
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
    from w2stree.forest.forest import Forest
    from w2stree.trajectories.trajectory import Trajectory
    from w2stree.viewer import MadeRow, OpenAt


@takes_runs
def view(
    source: Source,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="where to; a view that is there is replaced (default: view.html)",
            show_default=False,
        ),
    ] = None,
    in_terminal: Annotated[
        bool,
        typer.Option(
            "--terminal", help="browse it here instead: tasks, trees folded, every text whole"
        ),
    ] = False,
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
    """Browse runs as a forest, in one HTML file or here: tasks, trees, every text whole.

    The file opens from disk, without a server and without a network. It has a table of tasks, each
    tree as a map and as an outline, every node's texts, two runs side by side from where they part,
    and a search of all texts. Addresses in it (#task=...&node=...) can be kept and sent.

    With --terminal no file is written: the same table, the trees as outlines that fold, and every
    text whole, by the keys that its last line names; ? shows all of them.

    A saved forest is taken too, alone; it has no words of the agent. Of a run directory the
    explored runs are shown, and its recombined paths.
    """
    from w2stree.viewer import OpenAt

    if in_terminal:
        _refuse_files(output, recombined, rows, open_it=open_it)
        _refuse_without_a_terminal(source)
    else:
        output = Path("view.html") if output is None else output
        _refuse_what_is_no_view(output)
    source, own_paths = of_a_run_directory(source)
    rule = rule_of(min_similarity, embed, normalize, guard=guard)
    forest, runs = read_forest(source, rule, task=task)
    chosen = None if task is None else chosen_task(forest.task_ids, task)
    opened = None if task is None and node is None else OpenAt(task=chosen, node=node)
    options = _Options(
        title=runs.where, places=runs.places, min_gap=min_gap, success_threshold=success_at
    )
    if opened is not None:
        opened.check(forest, "--node" if task is None else "--task, --node")
    if output is None:
        _browse(forest, None if opened is None else opened.whole(forest).node, options)
        say(runs.account())
        return 0
    paths = _recombined(source, recombined or own_paths)
    made = [] if rows is None else _made(rows)
    _write(forest, output, paths, made, opened, options)
    say(f"{visible(str(output))}: {output.stat().st_size / 1e6:.1f} MB; open it in a browser")
    say(runs.account())
    if num_others := sum(path.task_id not in forest for path in paths):
        say(f"{counted(num_others, 'recombined path')} left out: of tasks that are not shown")
    if open_it and not webbrowser.open(output.resolve().as_uri()):
        raise InvalidInput(f"{output}: no browser was found to open it")
    return 0


class _Options(TypedDict):
    """What both kinds of view are told."""

    title: str
    places: Sequence[str]
    min_gap: float
    success_threshold: float | None


def _refuse_files(
    output: Path | None, recombined: str | None, rows: Path | None, *, open_it: bool
) -> None:
    given = {"--output": output, "--recombined": recombined, "--rows": rows, "--open": open_it}
    if told := [option for option, value in given.items() if value]:
        raise InvalidInput(
            f"--terminal writes no file and shows none beside the runs: leave out {told[0]}"
        )


def _refuse_without_a_terminal(source: Source) -> None:
    """Keys come from standard input, and what is drawn goes to standard error."""
    streams = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    for name, stream in streams.items():
        if not stream.isatty():
            command = shlex.join(["w2stree", "tree", *source.typed()])
            raise InvalidInput(
                f"--terminal needs a terminal, and standard {name} is none; {command} prints the "
                "trees instead"
            )
    if os.environ.get("TERM", "") in ("dumb", "unknown"):
        raise InvalidInput(
            f"--terminal needs a terminal that moves its cursor, and TERM is {os.environ['TERM']}; "
            f"{shlex.join(['w2stree', 'tree', *source.typed()])} prints the trees instead"
        )
    with needs("terminal"):
        importlib.import_module("textual")


def _refuse_what_is_no_view(output: Path) -> None:
    from w2stree.viewer.page import is_view

    if output.exists() and not (output.is_file() and is_view(output)):
        raise InvalidInput(f"{output} is there and is no view: name another file")


def _browse(forest: Forest, node: int | None, options: _Options) -> None:
    from w2stree.cli.terminal.app import ForestApp
    from w2stree.cli.terminal.looked_at import LookedAt

    ForestApp(LookedAt(forest, **options), node=node).run()


def _write(
    forest: Forest,
    output: Path,
    paths: Sequence[Trajectory],
    made: Sequence[MadeRow],
    opened: OpenAt | None,
    options: _Options,
) -> None:
    from w2stree.viewer import write_view

    recombined = [path for path in paths if path.task_id in forest]
    write_view(forest, output, recombined=recombined, rows=made, open_at=opened, **options)


def _recombined(source: Source, path: str | None) -> Sequence[Trajectory]:
    return () if path is None else source.at(path).read().trajectories


def _made(path: Path) -> list[MadeRow]:
    from w2stree.rows.row_files import Kind, kind_of, parts_of, read_rows
    from w2stree.viewer import made_row

    made: list[MadeRow] = []
    for part in parts_of(path):  # of a folder that pairs wrote its splits
        if (kind := kind_of(part)) is not Kind.PREFERENCES:
            raise InvalidInput(f"{visible(str(part))}: has {kind.value}, and no preference rows")
        file = read_rows(part)
        made += map(made_row, file.records, file.places)
    return made
