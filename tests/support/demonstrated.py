"""Experiments whose demonstrations are read from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from support.experiments import smallest

from w2stree import Message, Step, Trajectory, write_trajectories
from w2stree.experiment.config import load_config
from w2stree.experiment.stages.context import Context

TREASURE = {"name": "gymnasium", "make": "own_environment:treasure", "max_steps": 8}


@contextmanager
def experiment(
    folder: Path,
    shown: Sequence[Trajectory] | None,
    environment: dict[str, Any] = TREASURE,
    tasks: dict[str, Any] | None = None,
    **changes: Any,
) -> Iterator[Context]:
    """An experiment in the game of the example, with these trajectories in its file."""
    asked: dict[str, Any] = {"demonstrations": 2, "explore": 2, "test": 2, **(tasks or {})}
    if shown is not None:
        write_trajectories(folder / "shown.jsonl", shown)
        changes = {"demonstrations": str(folder / "shown.jsonl"), **changes}
    file = folder / "smallest.yaml"
    file.write_text(json.dumps(smallest({**environment, "num_processes": 1}, asked, **changes)))
    with closing(Context(load_config(file), folder / "run")) as context:
        yield context


def doors(seed: int) -> Trajectory:
    prompt = (Message("user", f"{seed + 1} doors are before you."),)
    steps = tuple(Step("open", f"{seed - i} doors.") for i in range(seed + 1))
    return Trajectory(f"Doors/train/{seed}", prompt, steps, 1.0, "done")
