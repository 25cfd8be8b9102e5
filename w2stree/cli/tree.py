"""`w2stree tree`: trajectories as a forest, summed up, or one task's tree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from w2stree.errors import InvalidInput


def tree(
    trajectories: Annotated[
        Path,
        typer.Argument(
            metavar="TRAJECTORIES",
            help="a .jsonl or .journal file, a directory of them, or a saved forest",
        ),
    ],
    task: Annotated[str | None, typer.Option(metavar="TASK", help="draw this task's tree")] = None,
) -> int:
    """Summarise trajectories as a forest, or draw one tree."""
    from w2stree.forest.build import build_forest, open_forest
    from w2stree.forest.file import is_forest_file
    from w2stree.trajectories.files import read_trajectories

    if trajectories.is_file() and is_forest_file(trajectories):
        forest = open_forest(trajectories)
    else:
        forest = build_forest(read_trajectories(trajectories))
    if task is None:
        print(forest.summary())
    elif task in forest.task_ids:
        print(forest[task])
    else:
        raise InvalidInput(f"no task {task!r}; the first are {forest.task_ids[:3]}")
    return 0
