"""Writes the corpus of fuzz_forest_file: python cpp/fuzz/make_corpus.py (same bytes every time).

The files are golden as well: tests hold every platform to them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from w2stree import _core
from w2stree.forest.texts import TextColumn

FOLDER = Path(__file__).parent / "corpus" / "forest_file"

# Trajectories by task: (steps, return); an upper-case letter is answered by another observation.
FORESTS: dict[str, list[tuple[int, str, float]]] = {
    "nothing": [],
    "one": [(0, "", 0.5)],
    "picture": [(0, "abe", 1.0), (0, "aC", 0.0), (0, "d", 0.3), (0, "a", 0.1)],
    "luck": [(0, "ab", 1.0), (0, "aB", 0.0), (1, "a", 0.5), (1, "A", 0.5), (1, "", 1.0)],
    "wide": [(0, c, i / 8) for i, c in enumerate("abcdefghA")],
    "ties": [(i % 2, "abc"[: i % 4], 0.1) for i in range(9)],
}


def file_of(trajectories: list[tuple[int, str, float]]) -> bytes:
    """The file of a forest."""
    steps = [step for _, text, _ in trajectories for step in text]
    num_trees = 1 + max((tree for tree, _, _ in trajectories), default=-1)
    forest = _core.build_forest(
        np.array([ord(step.lower()) - ord("a") for step in steps], np.int32),
        np.array([step.isupper() for step in steps], np.int32),
        np.cumsum([0, *(len(text) for _, text, _ in trajectories)]).astype(np.int64),
        np.array([tree for tree, _, _ in trajectories], np.int32),
        np.array([value for _, _, value in trajectories], np.float64),
        num_trees,
    )
    content = _core.ForestFileBytes(
        forest,
        TextColumn.of(["u", "ü"][:num_trees]),
        TextColumn.of("abcdefgh"),
        TextColumn.of(["", "no"]),
        num_errors=0,
    )
    return b"".join(piece.tobytes() for piece in content.pieces())


def corpus() -> dict[str, bytes]:
    """Inputs by name: a mode, then what it asks for (fuzz_forest_file.cpp)."""
    files = {name: file_of(trajectories) for name, trajectories in FORESTS.items()}
    return {
        **{f"raw_{name}": b"\0" + file for name, file in files.items()},
        **{f"sealed_{name}": b"\1" + file for name, file in files.items()},
        "grown_plain": bytes([2, 3, 0x31, 0, 1, 2, 0x20, 0, 4, 0x26, 0, 1]),
        "grown_changed": bytes([2, 3, 0x31, 0, 1, 2, 0x20, 0, 4, 0x26, 0, 1, 5, 1, 1, 0x83, 2]),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in corpus().items():
        (FOLDER / name).write_bytes(content)
