"""ScienceWorld's tasks: names, step limits, and which variation belongs to which split.

A task has variations (other substances, places, questions); the engine deals them to three folds,
one after the other:

    0 … num_train-1 | … num_dev of them … | … num_test of them

Names and folds: Wang, Jansen, Côté & Ammanabrolu, "ScienceWorld: Is your Agent Smarter than a 5th
Grader?", EMNLP 2022 (engine 1.2.3). The 24 tasks that have a step limit here, and the limits, are
those of Song et al., "Trial and Error" (ETO), ACL 2024 (github.com/Yifan-Song793/ETO,
`eval_agent/data/sciworld/max_steps.json`), which the weak-to-strong paper plays too.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.json_text import parse_json

SPLITS = ("train", "dev", "test")
MOST_PAIRS = {"train": 120, "dev": 10, "test": 10}
DEFAULT_MAX_STEPS = 100
"""The engine's own limit, for the six tasks that the paper leaves out."""

Pair = tuple[str, int]
"""A task's name and a variation of it."""


@dataclass(frozen=True, slots=True)
class ScienceTask:
    """How many variations each fold has; `max_steps` is None for tasks the paper leaves out."""

    num_train: int
    num_dev: int
    num_test: int
    max_steps: int | None = None

    @property
    def num_variations(self) -> int:
        return self.num_train + self.num_dev + self.num_test

    def fold(self, split: str) -> range:
        """The variations of the engine's fold."""
        starts = {"train": 0, "dev": self.num_train, "test": self.num_train + self.num_dev}
        sizes = {"train": self.num_train, "dev": self.num_dev, "test": self.num_test}
        return range(starts[split], starts[split] + sizes[split])


TASKS = {
    "boil": ScienceTask(14, 7, 9, 100),
    "melt": ScienceTask(14, 7, 9, 80),
    "freeze": ScienceTask(14, 7, 9, 80),
    "change-the-state-of-matter-of": ScienceTask(14, 7, 9, 80),
    "use-thermometer": ScienceTask(270, 135, 135, 30),
    "measure-melting-point-known-substance": ScienceTask(218, 109, 109, 120),
    "measure-melting-point-unknown-substance": ScienceTask(150, 75, 75),
    "power-component": ScienceTask(10, 5, 5, 20),
    "power-component-renewable-vs-nonrenewable-energy": ScienceTask(10, 5, 5, 30),
    "test-conductivity": ScienceTask(450, 225, 225, 30),
    "test-conductivity-of-unknown-substances": ScienceTask(300, 150, 150, 30),
    "find-living-thing": ScienceTask(150, 75, 75, 15),
    "find-non-living-thing": ScienceTask(150, 75, 75, 15),
    "find-plant": ScienceTask(150, 75, 75, 15),
    "find-animal": ScienceTask(150, 75, 75, 15),
    "grow-plant": ScienceTask(62, 31, 33, 30),
    "grow-fruit": ScienceTask(62, 31, 33, 60),
    "chemistry-mix": ScienceTask(16, 8, 8, 60),
    "chemistry-mix-paint-secondary-color": ScienceTask(18, 9, 9, 15),
    "chemistry-mix-paint-tertiary-color": ScienceTask(18, 9, 9, 30),
    "lifespan-longest-lived": ScienceTask(62, 31, 32, 10),
    "lifespan-shortest-lived": ScienceTask(62, 31, 32, 10),
    "lifespan-longest-lived-then-shortest-lived": ScienceTask(62, 31, 32, 12),
    "identify-life-stages-1": ScienceTask(6, 3, 5, 30),
    "identify-life-stages-2": ScienceTask(4, 2, 4, 30),
    "inclined-plane-determine-angle": ScienceTask(84, 42, 42),
    "inclined-plane-friction-named-surfaces": ScienceTask(692, 346, 348),
    "inclined-plane-friction-unnamed-surfaces": ScienceTask(80, 40, 42),
    "mendelian-genetics-known-plant": ScienceTask(60, 30, 30),
    "mendelian-genetics-unknown-plant": ScienceTask(240, 120, 120),
}
PAPER_TASKS = tuple(name for name, task in TASKS.items() if task.max_steps is not None)


def pairs_by_rule(split: str) -> list[Pair]:
    """The paper's 24 tasks with the first variations of the engine's fold: at most 120, 10, 10.

    Ordered by turns, every task's first variation before any task's second, so that the first n
    pairs cover the tasks evenly. The test pairs are exactly ETO's 211; its train and dev pairs
    were drawn at random (`docs/environments.md` says how they differ).
    """
    columns = [
        [(name, variation) for variation in TASKS[name].fold(split)[: MOST_PAIRS[split]]]
        for name in PAPER_TASKS
    ]
    return [pair for row in zip_longest(*columns) for pair in row if pair is not None]


def read_split_file(path: Path) -> dict[str, list[Pair]]:
    """The user's own pairs: `{"train": [["boil", 3], …], "dev": […], "test": […]}`.

    Names may be the engine's or those of its first release (`task-1-boil`). Raises `InvalidInput`
    naming file and entry for anything else, for a pair that is twice in a split, and for a test
    pair that is in another split too; warns where train and dev share pairs.
    """
    try:
        document = parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(document, dict) or set(document) != set(SPLITS):
        raise InvalidInput(f'{path}: expected an object with "train", "dev" and "test"')
    splits = {split: _read_pairs(document[split], f"{path}: {split}") for split in SPLITS}
    _refuse_leaks(splits, path)
    return splits


def _read_pairs(entries: Any, where: str) -> list[Pair]:
    if not isinstance(entries, list):
        raise InvalidInput(f'{where} is {type(entries).__name__}; expected [["boil", 3], …]')
    pairs: dict[Pair, None] = {}
    for i, entry in enumerate(entries):
        pair = _read_pair(entry, f"{where}[{i}]")
        if pair in pairs:
            raise InvalidInput(f"{where}[{i}] is {entry!r}, which is there before; give each once")
        pairs[pair] = None
    return list(pairs)


def _read_pair(entry: Any, where: str) -> Pair:
    match entry:
        case [str(name), int(variation)] if not isinstance(variation, bool):
            pass
        case _:
            raise InvalidInput(f'{where} is {entry!r}; expected a pair like ["boil", 3]')
    name = _today(name)
    if name not in TASKS:
        raise InvalidInput(f"{where}: no task {name!r}; ScienceWorld has {', '.join(TASKS)}")
    refuse_unknown_variation(name, variation, where)
    return name, variation


def refuse_unknown_variation(name: str, variation: int, where: str) -> None:
    """Raises `InvalidInput` for a variation that the task does not have."""
    count = TASKS[name].num_variations
    if not 0 <= variation < count:
        raise InvalidInput(f"{where}: {name} has variations 0 to {count - 1}, not {variation}")


def _refuse_leaks(splits: dict[str, list[Pair]], path: Path) -> None:
    seen = set(chain(splits["train"], splits["dev"]))
    for i, pair in enumerate(splits["test"]):
        if pair in seen:
            raise InvalidInput(f"{path}: test[{i}], {list(pair)}, is in train or dev too")
    if num_shared := len(set(splits["train"]) & set(splits["dev"])):
        warnings.warn(f"{path}: train and dev share {num_shared} pairs", stacklevel=3)


def _today(name: str) -> str:
    # The first release numbered the topics, wrote parentheses and one name with a double l.
    return re.sub(r"^task-\d+[ab]?-|[()]", "", name).replace("mendellian", "mendelian")
