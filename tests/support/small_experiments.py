"""A world of `w2stree experiment` that is learned in seconds, in a folder, and its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from support.experiments import smallest
from support.treasure_hunters import hunts

from w2stree import write_trajectories

TREASURE = {"name": "gymnasium", "make": "own_environment:treasure", "max_steps": 4}
_OF_TIME = ("seconds", "peak_memory_mb")


def treasure_world(folder: Path) -> None:
    """`treasure.yaml`; demonstrations are in a file."""
    write_trajectories(folder / "shown.jsonl", hunts(range(500, 515)))
    once = {"num_epochs": 1, "learning_rate": 1.0e-3}
    config = smallest(
        {**TREASURE, "num_processes": 1},
        {"demonstrations": 2, "explore": 2, "test": 2},
        demonstrations=str(folder / "shown.jsonl"),
        seeds={"sft_weak": 0},
    )
    del config["ceiling"]  # the file has no demonstrations of explored tasks
    for role in ("weak", "strong"):
        config[role]["sft"] = once
    (folder / "treasure.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def small(folder: Path, **changes: Any) -> str:
    """An experiment over that world."""
    record = {"name": "small", "question": "?", "worlds": ["treasure.yaml"]}
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(record | changes), encoding="utf-8")
    return str(file)


def results_without_times(folder: Path) -> dict[str, Any]:
    """Every cell's record, without seconds, rates and memory."""
    return {
        str(file.relative_to(folder)): _without_times(json.loads(file.read_text()))
        for file in sorted(folder.rglob("seed-*/*.json"))
    }


def _without_times(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        key: _without_times(of_key)
        for key, of_key in value.items()
        if key not in _OF_TIME and not key.endswith("_per_s")
    }
