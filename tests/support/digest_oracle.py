"""The digest of `digest.hpp` in plain Python, from trajectories alone: no forest, no core."""

from __future__ import annotations

import struct
from collections import Counter

from w2stree import Trajectory

MASK = 2**64 - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def rotate(x: int, r: int) -> int:
    return (x << r | x >> 64 - r) & MASK


def round_(lane: int, word: int) -> int:
    return rotate((lane + word * P2) & MASK, 31) * P1 & MASK


def mix(h: int, word: int) -> int:
    return (rotate(h ^ round_(0, word), 27) * P1 + P4) & MASK


def avalanche(h: int) -> int:
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32


def xxh64(data: bytes, seed: int = 0) -> int:
    rest = data
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while len(rest) >= 32:
            words = struct.unpack_from("<4Q", rest)
            lanes = [round_(lane, word) for lane, word in zip(lanes, words, strict=True)]
            rest = rest[32:]
        h = sum(rotate(lane, r) for lane, r in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            h = ((h ^ round_(0, lane)) * P1 + P4) & MASK
    else:
        h = (seed + P5) & MASK
    h = (h + len(data)) & MASK
    while len(rest) >= 8:
        h, rest = mix(h, struct.unpack_from("<Q", rest)[0]), rest[8:]
    if len(rest) >= 4:
        word = struct.unpack_from("<I", rest)[0]
        h, rest = (rotate(h ^ word * P1 & MASK, 23) * P2 + P3) & MASK, rest[4:]
    for byte in rest:
        h = rotate(h ^ byte * P5 & MASK, 11) * P1 & MASK
    return avalanche(h)


def seal(h: int, *words: int) -> int:
    for word in words:
        h = mix(h, word)
    return avalanche(h)


def digest(trajectories: list[Trajectory]) -> str:
    return "".join(f"{lane_of(trajectories, seed):016x}" for seed in (0, 1))


def lane_of(trajectories: list[Trajectory], seed: int) -> int:
    def text(t: str) -> int:
        return xxh64(t.encode("utf-8", "surrogatepass"), seed)

    through: Counter[tuple] = Counter()
    ending: Counter[tuple] = Counter()
    children: dict[tuple, set] = {}
    path: dict[tuple, int] = {}
    total = 0
    for trajectory in trajectories:
        node: tuple = (trajectory.task_id,)
        path[node] = text(trajectory.task_id)
        through[node] += 1
        for step in trajectory.steps:
            child = (*node, (step.action, step.observation))
            children.setdefault(node, set()).add(child)
            step_hash = seal(text(step.action), text(step.observation))
            path[child] = mix(path[node], step_hash)
            node = child
            through[node] += 1
        ending[node] += 1
        (bits,) = struct.unpack("<Q", struct.pack("<d", trajectory.total_return + 0.0))
        total += seal(path[node], bits)
    for node, hash_ in path.items():
        if ending[node] or len(children.get(node, ())) != 1:
            total += seal(hash_, through[node], ending[node])
    num_trees = len({t.task_id for t in trajectories})
    return seal(total & MASK, num_trees, len(path), len(trajectories))
