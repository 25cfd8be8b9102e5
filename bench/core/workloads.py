"""Seeded workloads: agent runs as id columns, made level by level with NumPy.

Every task is a random environment and every history in it a 64-bit hash. The hash decides
what is likely there: most histories have one usual action, at contested ones an agent picks
among several; some actions are answered in two ways (luck, no decision). Trajectories of a
task follow the same hashes, so they share prefixes exactly as real rollouts do.

    name   tasks x trajectories   steps a trajectory   what it stands for
    W1     2,000 x 7              <= 30                the paper's setting
    W2     1,000 x 50             <= 30                many samples a task
    W3       100 x 4,000          30 on average        12M steps, about 4.6M nodes
    W4         1 x 400,000        30 on average        one tree of 12M steps
    star       1 x 1,024          1                    one root with 1,024 children

In W1 and W2 about one node in ten branches, in W3 and W4 one in twenty: a tree branches less
often than it has leaves, and 400,000 trajectories on 4.6M nodes leave no more. Most branches
are decisions, some are luck. Some trajectories repeat another one of their task, some are the
beginning of one, so that they end at inner nodes. Trajectories come task by task, as a run
directory is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_ACTIONS = 4_000  # distinct texts over a whole workload
NUM_OBSERVATIONS = 30_000

_Hash = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Workload:
    """Trajectories as `build_forest_from_ids` takes them."""

    name: str
    action_id: NDArray[np.int32]
    observation_id: NDArray[np.int32]
    step_offset: NDArray[np.int64]
    tree_id: NDArray[np.int32]
    total_return: NDArray[np.float64]
    num_trees: int

    @property
    def num_steps(self) -> int:
        return len(self.action_id)

    @property
    def num_trajectories(self) -> int:
        return len(self.tree_id)

    def head(self, num_trees: int) -> Workload:
        """The first tasks alone, where a slow baseline would need minutes for all."""
        return self.select(np.arange(min(num_trees, self.num_trees)))

    def select(self, trees: NDArray[np.integer[Any]]) -> Workload:
        """Some of the tasks, in ascending order."""
        if len(trees) == self.num_trees:
            return self
        is_kept = np.isin(self.tree_id, trees)
        length = np.diff(self.step_offset)
        is_step_kept = np.repeat(is_kept, length)
        return Workload(
            f"{self.name}, {len(trees):,} tasks",
            self.action_id[is_step_kept],
            self.observation_id[is_step_kept],
            np.concatenate([[0], np.cumsum(length[is_kept])]),
            np.searchsorted(trees, self.tree_id[is_kept]).astype(np.int32),
            self.total_return[is_kept],
            len(trees),
        )

    def rows(self) -> tuple[list[int], list[list[int]], list[list[int]], list[float]]:
        """Task, actions, observations and return of each trajectory: a Python author's input."""
        action, observation = self.action_id.tolist(), self.observation_id.tolist()
        steps = list(pairwise(self.step_offset.tolist()))
        return (
            self.tree_id.tolist(),
            [action[begin:end] for begin, end in steps],
            [observation[begin:end] for begin, end in steps],
            self.total_return.tolist(),
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """What a workload is made from."""

    num_tasks: int
    num_trajectories: int  # a task
    length: tuple[int, int, int]  # least, most common, greatest
    contested: tuple[float, float, float]  # share of histories where agents disagree: at the
    # start, the middle and the end of a task (early steps are obvious, the last ones are not)
    luck: float  # share of steps with two possible answers
    copies: float = 0.06  # share of trajectories that repeat one of their task
    prefixes: float = 0.04  # share that stop in the middle of one of their task


PAPER = Shape(2_000, 7, (3, 7, 30), contested=(0.0, 0.0, 1.0), luck=0.03, copies=0.02)
MANY = Shape(1_000, 50, (5, 12, 30), contested=(0.0, 0.25, 1.0), luck=0.05)
LARGE = Shape(100, 4_000, (21, 31, 40), contested=(0.2, 0.65, 0.9), luck=0.08)


def w1(scale: float = 1.0) -> Workload:
    return generate(f"W1{_times(scale)}", _scaled(PAPER, scale), seed=1)


def w2(scale: float = 1.0) -> Workload:
    return generate(f"W2{_times(scale)}", _scaled(MANY, scale), seed=2)


def w3(scale: float = 1.0) -> Workload:
    return generate(f"W3{_times(scale)}", _scaled(LARGE, scale), seed=3)


def w4(scale: float = 1.0) -> Workload:
    shape = replace(LARGE, num_tasks=1, num_trajectories=round(400_000 * scale))
    return generate(f"W4{_times(scale)}", shape, seed=6)


def star(fan_out: int = 1_024) -> Workload:
    """One root, `fan_out` children with different returns."""
    total_return = np.random.default_rng(5).permutation(fan_out) / fan_out
    return Workload(
        "star",
        np.arange(fan_out, dtype=np.int32),
        np.zeros(fan_out, np.int32),
        np.arange(fan_out + 1, dtype=np.int64),
        np.zeros(fan_out, np.int32),
        total_return,
        1,
    )


def generate(name: str, shape: Shape, seed: int) -> Workload:
    """The same columns for the same arguments, on every machine."""
    rng = np.random.default_rng(seed)
    rows = shape.num_tasks * shape.num_trajectories
    tree_id = np.repeat(np.arange(shape.num_tasks, dtype=np.int32), shape.num_trajectories)
    typical, length = _lengths(shape, rng)
    history = _mix(tree_id.astype(np.uint64) + np.uint64(seed << 32))
    action = np.empty((rows, shape.length[2]), np.int32)
    observation = np.empty_like(action)
    quality = np.zeros(rows)  # of the early choices: returns within a subtree are alike
    for depth in range(shape.length[2]):
        contested = np.interp(depth / typical, (0.0, 0.6, 0.8), shape.contested)
        action[:, depth] = _choose(history, rng.random(rows), contested)
        history = _mix(history ^ action[:, depth].astype(np.uint64))
        observation[:, depth] = _answer(history, rng.random(rows), shape.luck)
        history = _mix(history ^ (observation[:, depth].astype(np.uint64) << np.uint64(32)))
        if depth < 4:
            quality += _unit(history) / 4
    source = _repeat_some(shape, length, rng)
    total_return = _returns(quality, rng)[source]
    kept = np.arange(shape.length[2]) < length[:, None]
    return Workload(
        name,
        action[source][kept],
        observation[source][kept],
        np.concatenate([[0], np.cumsum(length)]),
        tree_id,
        total_return,
        shape.num_tasks,
    )


def _lengths(
    shape: Shape, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each trajectory, its task's length and its own: tasks differ much, their runs little."""
    task = np.repeat(rng.triangular(*shape.length, shape.num_tasks), shape.num_trajectories)
    length = np.rint(task + rng.normal(0.0, 1.2, len(task))).astype(np.int64)
    return task, np.clip(length, shape.length[0], shape.length[2])


def _choose(
    history: _Hash, luck: NDArray[np.float64], contested: NDArray[np.float64]
) -> NDArray[np.uint64]:
    """The usual action, or at a contested history sometimes one of up to five others."""
    is_contested = _unit(_mix(history ^ np.uint64(1))) < contested
    usual = np.where(is_contested, 0.4 + 0.5 * _unit(_mix(history ^ np.uint64(2))), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        other = 1 + np.floor(5 * ((luck - usual) / (1 - usual)) ** 5)
    choice = np.where(luck < usual, 0, other).astype(np.uint64)
    return _mix(history + choice * np.uint64(0x9E3779B97F4A7C15)) % np.uint64(NUM_ACTIONS)


def _answer(history: _Hash, luck: NDArray[np.float64], share: float) -> NDArray[np.uint64]:
    is_uncertain = _unit(_mix(history ^ np.uint64(3))) < share
    variant = (is_uncertain & (luck < 0.3)).astype(np.uint64)
    return _mix(history ^ (variant + np.uint64(4))) % np.uint64(NUM_OBSERVATIONS)


def _repeat_some(
    shape: Shape, length: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Which row each trajectory takes its steps from; shortens those that are prefixes."""
    row = np.arange(len(length))
    first = row - row % shape.num_trajectories
    other = first + rng.integers(0, shape.num_trajectories, len(length))
    kind = rng.random(len(length))
    source = np.where(kind < shape.copies + shape.prefixes, other, row)
    length[:] = length[source]
    is_prefix = kind < shape.prefixes
    length[is_prefix] = rng.integers(1, length[is_prefix])
    return source


def _returns(quality: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """0 and 1 for a third each, tenths and other fractions between."""
    score = 0.7 * quality + 0.3 * rng.random(len(quality))
    rank = np.argsort(np.argsort(score)) / len(score)
    between = (rank - 0.35) / 0.3
    fraction = np.where(rng.random(len(rank)) < 0.7, np.round(between, 1), np.round(between, 3))
    return np.where(rank < 0.35, 0.0, np.where(rank >= 0.65, 1.0, fraction))


def _mix(x: _Hash) -> _Hash:
    """The finalizer of splitmix64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _unit(x: _Hash) -> NDArray[np.float64]:
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _scaled(shape: Shape, scale: float) -> Shape:
    return replace(shape, num_tasks=max(1, round(shape.num_tasks * scale)))


def _times(scale: float) -> str:
    return "" if scale == 1 else f" x {scale:g}"
