"""ALFWorld's 3,554 expert runs, in every format that a record a run can be written in."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from w2stree import Message, Step, Trajectory
from w2stree.formats.writing import write_trajectories

FORMATS = ("w2stree", "eto", "agenttraj", "sharegpt", "messages", "responses")
_THOUGHT = "I go on."


def runs(pack: Path) -> Iterator[Trajectory]:
    """`pack`: train.jsonl.gz of the compact pack (docs/environments.md)."""
    with gzip.open(pack, "rt", encoding="utf-8") as lines:
        for game in map(json.loads, lines):
            told = game["gt"]
            if not told:
                continue
            steps = tuple(
                Step(action, answer, f"Thought: {_THOUGHT}\nAction: {action}")
                for action, answer in zip(told[1::2], told[2::2], strict=True)
            )
            yield Trajectory(game["id"], (Message("user", told[0]),), steps, 1.0, "done")


def write(pack: Path, folder: Path) -> list[Path]:
    """The runs in each format, a file of JSON lines each."""
    folder.mkdir(parents=True, exist_ok=True)
    read = list(runs(pack))
    files = [folder / f"{name}.jsonl" for name in FORMATS]
    for name, file in zip(FORMATS, files, strict=True):
        write_trajectories(file, read, format=name)
    return files
