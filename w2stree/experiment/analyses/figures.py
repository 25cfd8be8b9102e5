"""Figures of a finished run: kept as JSON, and beside it as a table that people read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2stree.experiment.run_json import write_json
from w2stree.trajectories.replacing import replacing


def write_figures(folder: Path, name: str, figures: Mapping[str, Any], table: str) -> None:
    """`name.json` and `name.txt` in the folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", figures)
    with replacing(folder / f"{name}.txt") as file:
        file.write(table)


def in_columns(lines: Sequence[Sequence[str]], align: Callable[[str, int], str] = str.rjust) -> str:
    """The lines, as many cells in each, as text: the first column to the left, the others as
    `align` has them."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = (
        "  ".join([line[0].ljust(widths[0]), *map(align, line[1:], widths[1:])]).rstrip()
        for line in lines
    )
    return "\n".join(rows) + "\n"
