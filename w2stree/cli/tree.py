"""`w2stree tree`: trajectories as a forest, summed up, or one task's tree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from w2stree.cli.inputs import nothing_played
from w2stree.cli.parameters import Normalize, number_in_0_1
from w2stree.cli.say import say
from w2stree.errors import InvalidInput


def tree(
    trajectories: Annotated[
        Path,
        typer.Argument(
            metavar="TRAJECTORIES",
            help="a .jsonl or .journal file, a directory of them (also .ndjson, .jsonl.gz, "
            ".jsonl.zst), or a saved forest",
        ),
    ],
    task: Annotated[str | None, typer.Option(metavar="TASK", help="draw this task's tree")] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(
            parser=number_in_0_1,
            metavar="XI",
            help="merge observations of at least this cosine, e.g. 0.9",
        ),
    ] = None,
    embed: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="what --min-similarity compares (default: all-MiniLM-L6-v2)"
        ),
    ] = None,
    normalize: Normalize = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="read the directory's directories too")
    ] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="read a damaged journal's other frames")
    ] = False,
    guard: Annotated[
        bool, typer.Option(help="keep similar texts apart whose numbers or opposites differ")
    ] = True,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="texts whole and as they are, terminal codes too"),
    ] = False,
) -> int:
    """Summarise trajectories as a forest, or draw one tree.

    Files of a directory that are not read are named on standard error, and so are trajectories
    that were read twice. Equal observations are merged; --min-similarity and --normalize merge
    more. A saved forest keeps the rule it was built by: another one is refused. Texts are
    shortened, and what a terminal would obey is shown: --raw prints them as they are, and is for
    a file or a pager.
    """
    from w2stree.forest.build import build_forest, open_forest
    from w2stree.forest.file import is_forest_file
    from w2stree.forest.merging import Merging
    from w2stree.trajectories.files import read_trajectories

    if not trajectories.exists():
        raise FileNotFoundError(
            f"{trajectories}: no such file or directory; expected a .jsonl or .journal file, "
            "a folder of them, or a saved forest"
        )
    if min_similarity is None and (embed is not None or not guard):
        raise InvalidInput("--embed and --no-guard are of similar texts: give --min-similarity")
    if raw and task is None:
        raise InvalidInput("--raw is of one task's texts: give --task")
    rule = Merging(
        min_similarity=min_similarity,
        embed=None if min_similarity is None else embed or "all-MiniLM-L6-v2",
        normalize_observation=normalize,
        guard="distinctions" if guard else None,
    )
    if trajectories.is_file() and is_forest_file(trajectories):
        forest = open_forest(trajectories)
        if rule != Merging() and rule != forest.merging:
            raise InvalidInput(
                f"{trajectories} was merged by another rule, and texts that were merged cannot be "
                "told apart again: build from its trajectories"
            )
    else:
        read = read_trajectories(trajectories, recursive=recursive, salvage=salvage)
        if all(trajectory.status == "error" for trajectory in read):
            raise InvalidInput(f"{trajectories}: {nothing_played(read)}")
        forest = build_forest(read, merging=rule)
    if task is None:
        say(forest.summary())
    elif task in forest.task_ids:
        say(forest[task].drawn(raw=raw), raw=raw)
    else:
        raise InvalidInput(f"no task {task!r}; the first are {forest.task_ids[:3]}")
    return 0
