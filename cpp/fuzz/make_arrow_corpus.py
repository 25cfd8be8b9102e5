"""Writes the corpus of fuzz_arrow_trajectories: python cpp/fuzz/make_arrow_corpus.py.

Same bytes every time. An input says which formats, then draws batches from what is left of it
(fuzz_arrow_trajectories.cpp).
"""

from __future__ import annotations

import random
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus" / "arrow_trajectories"

STRING, LARGE_STRING, STRING_VIEW = [0, 0], [1, 0], [2, 0]  # a 0: as it should be
LIST, LARGE_LIST, LIST_VIEW, LARGE_LIST_VIEW = 0, 1, 2, 3
FLOAT64, INT16, FLOAT32 = [0, 0], [3, 0], [9, 0]


def dictionary(index: int, of: list[int]) -> list[int]:
    """Text behind one of eight integer formats."""
    return [3, index, *of, 0]


# Formats of task_id, total_return, actions and observations, and the order of columns.
SCHEMAS: dict[str, list[int]] = {
    "strings": [*STRING, *FLOAT64, LIST, *STRING, 0, LIST, *STRING, 0, 0],
    "large": [*LARGE_STRING, *INT16, LARGE_LIST, *LARGE_STRING, 0, LARGE_LIST, *STRING, 0, 1],
    "views": [*STRING_VIEW, *FLOAT32, LIST_VIEW, *STRING_VIEW, 0, LARGE_LIST_VIEW, *STRING, 0, 2],
    "dictionaries": [
        *dictionary(0, STRING),
        *FLOAT64,
        LIST,
        *dictionary(4, LARGE_STRING),
        0,
        LIST_VIEW,
        *dictionary(7, STRING_VIEW),
        0,
        3,
    ],
    "more_columns": [*STRING, *FLOAT64, LIST, *STRING_VIEW, 0, LARGE_LIST, *STRING, 0, 129, *INT16],
}


def drawn(name: str, size: int, below: int) -> bytes:
    """Bytes for an input to draw from; those from 250 on choose something hostile."""
    random_ = random.Random(name)
    return bytes(random_.randrange(below) for _ in range(size))


def corpus() -> dict[str, bytes]:
    """Inputs by name: a mode, then what it asks for."""
    inputs = {"nothing": b"\0", "ids_plain": b"\1\4" + drawn("ids", 80, 240)}
    inputs["ids_hostile"] = b"\1\4" + drawn("hostile ids", 80, 256)
    for name, schema in SCHEMAS.items():
        head = bytes([0, *schema, 0])
        inputs[f"{name}_plain"] = head + drawn(name, 600, 240)
        inputs[f"{name}_hostile"] = head + drawn(f"hostile {name}", 600, 256)
    return inputs


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in corpus().items():
        (FOLDER / name).write_bytes(content)
