"""Writes the corpus of fuzz_forest_file: python cpp/fuzz/make_corpus.py (same bytes every time).

The files are golden as well: tests hold every platform to them.
"""

from __future__ import annotations

import struct
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


# What a file tells of merging: the rule's names and number, and columns of merges.
EXACT = ([""] * 3, [], [[], [], []])
SIMILAR = (["sort_words", "lab:letters", "state_words"], [0.9], [[0, 1], [1, 0], [2, 1]])


def file_of(
    trajectories: list[tuple[int, str, float]],
    merging: tuple[list[str], list[float], list[list[int]]] = EXACT,
) -> bytes:
    """The file of a forest."""
    names, min_similarity, (made, seen, count) = merging
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
        rule=TextColumn.of(names),
        min_similarity=np.array(min_similarity, np.float64),
        merges=(np.array(made, np.int32), np.array(seen, np.int32), np.array(count, np.int64)),
    )
    return b"".join(piece.tobytes() for piece in content.pieces())


def version_1(file: bytes) -> bytes:
    """As the format's first version wrote it, which had the first 21 sections."""
    header, body, end = bytearray(file[: 32 + 21 * 48]), bytearray(), 32 + 21 * 48 + 8
    for entry in range(32, len(header), 48):
        offset, size = struct.unpack_from("<QQ", file, entry + 24)
        begin = (end + 63) // 64 * 64
        body += bytes(begin - end) + file[offset : offset + size]
        end = begin + size
        struct.pack_into("<Q", header, entry + 24, begin)
    struct.pack_into("<IIQ", header, 8, 1, 21, end)
    return bytes(header) + struct.pack("<Q", _core.xxh64(header)) + bytes(body)


def corpus() -> dict[str, bytes]:
    """Inputs by name: a mode, then what it asks for (fuzz_forest_file.cpp)."""
    files = {name: file_of(trajectories) for name, trajectories in FORESTS.items()}
    files["similar"] = file_of(FORESTS["picture"], SIMILAR)
    files["unknown_rule"] = file_of(FORESTS["picture"], ([], [], [[], [], []]))
    files["version_1"] = version_1(files["picture"])
    return {
        **{f"raw_{name}": b"\0" + file for name, file in files.items()},
        **{f"sealed_{name}": b"\1" + file for name, file in files.items()},
        "grown_plain": bytes([2, 3, 0x31, 0, 1, 2, 0x20, 0, 4, 0x26, 0, 1, 0]),
        "grown_changed": bytes([2, 3, 0x31, 0, 1, 2, 0x20, 0, 4, 0x26, 0, 1, 0, 5, 1, 1, 0x83, 2]),
        "grown_similar": bytes([2, 3, 0x31, 0, 1, 2, 0x20, 0, 4, 0x26, 0, 1, 1]),
        "grown_merges": bytes([2, 3, 0x31, 0, 1, 2, 0x20, 0, 4, 0x26, 0, 1, 1, 24, 0, 1]),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in corpus().items():
        (FOLDER / name).write_bytes(content)
