"""Advantages of single steps, from the runs that came by the same node.

                          G    parent        group           leave_one_out
    h ─┬─ a ──── …       1.0    a: 1.0−0.5    1.0 − 0.5       1.0 − 0.25      G of a run minus what
       └─ b ─┬─ c …      0.5    b: 0.25−0.5   0.5 − 0.5       0.5 − 0.5       is expected at h,
             └─ d …      0.0    c: 0.5−0.25   0.0 − 0.5       0.0 − 0.75      by three baselines

Online trainers weigh a turn's tokens by its advantage. A trajectory's one advantage, its return
minus the mean of its task's runs (GRPO), gives every turn of a run the same; these tell turns
apart, by what only a tree knows: who else was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.trajectories.returns import check_squares

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

Baseline = Literal["parent", "group", "leave_one_out"]
_BASELINES = get_args(Baseline)


@dataclass(frozen=True, slots=True)
class StepAdvantages:
    """One row a step of a forest's trajectories: those of the first in order, then the second's.

    `trajectory` `[num_steps]` int32, its index in `forest.trajectories`; `step` int32, from 0;
    `node` int32, where it leads to; `value` float64, its advantage in units of return (of standard
    deviations where that was asked for). `begin` `[num_trajectories + 1]` int64: a trajectory's
    rows are `begin[i]` to `begin[i + 1]`.
    """

    trajectory: NDArray[np.int32]
    step: NDArray[np.int32]
    node: NDArray[np.int32]
    value: NDArray[np.float64]
    begin: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.value)

    def of(self, trajectory: int) -> NDArray[np.float64]:
        """`[num_steps]` of one trajectory. Raises `IndexError` for one that there is not."""
        if not 0 <= trajectory < len(self.begin) - 1:
            raise IndexError(f"trajectory {trajectory} of {len(self.begin) - 1}")
        return self.value[self.begin[trajectory] : self.begin[trajectory + 1]]


def node_advantages(forest: Forest) -> NDArray[np.float64]:
    """`[num_nodes]` in units of return: the mean return of the runs through a node minus that of
    the runs through its parent; 0 at roots, those of trees without runs too. Summed along a run it
    is the run's return minus its task's mean, where no other run ends with it. Raises
    `InvalidInput` for a return above 1e150 either side of 0. O(nodes)."""
    check_squares(forest.total_return)
    mean = forest.return_sum / np.maximum(forest.num_trajectories, 1)
    parent = np.where(forest.parent < 0, np.arange(forest.num_nodes), forest.parent)
    found: NDArray[np.float64] = mean - mean[parent]
    return found


def advantages(
    forest: Forest, *, baseline: Baseline = "parent", scale: bool = False
) -> StepAdvantages:
    """The advantage of every step of every trajectory, h being the node that the step leaves.

    baseline: "parent": mean return of the runs through the step's node minus that through h, equal
        for all runs that take the step (`node_advantages`). "group": the run's own return minus the
        mean of all runs that act at h (the step-level groups of GiGPO, Feng et al., 2505.10978, a
        history being the anchor state). "leave_one_out": the run's own return minus the mean of
        the other runs that act at h (RLOO, Ahmadian et al., 2402.14740).
    scale: divides by the standard deviation (n − 1) of the returns of the runs that act at h.

    Where one run alone acts at h, "group" and "leave_one_out" are 0; "parent" is not where other
    runs end at h, since h's mean is over them too. Scaled, all are 0 where one run alone acts at h
    or all that do have one return. Raises `InvalidInput` for an unknown baseline, and for a return
    above 1e150 either side of 0. O(steps).
    """
    if baseline not in _BASELINES:
        raise InvalidInput(f"baseline is {baseline!r}; use one of {', '.join(_BASELINES)}")
    check_squares(forest.total_return)
    rows = _steps(forest)
    left = forest.parent[rows.node]
    own = forest.total_return[rows.trajectory]
    count = np.bincount(left, minlength=forest.num_nodes)[left]
    total = np.bincount(left, weights=own, minlength=forest.num_nodes)[left]
    if baseline == "parent":
        value = node_advantages(forest)[rows.node]
    elif baseline == "group":
        value = own - total / count
    else:
        value = np.where(count > 1, own - (total - own) / np.maximum(count - 1, 1), 0.0)
    if scale:
        spread = _spread(own, total / count, left, count, forest.num_nodes)
        value = np.divide(value, spread, out=np.zeros_like(value), where=spread > 0)
    return StepAdvantages(rows.trajectory, rows.step, rows.node, value, rows.begin)


def _steps(forest: Forest) -> StepAdvantages:
    """The rows, with no values yet: each trajectory's nodes, from its end upwards."""
    end = np.asarray(forest.end_node)
    length = forest.depth[end].astype(np.int64)
    begin = np.concatenate(([0], np.cumsum(length)))
    trajectory = np.repeat(np.arange(len(end), dtype=np.int32), length)
    step = (np.arange(begin[-1]) - begin[trajectory]).astype(np.int32)
    node = np.empty(begin[-1], np.int32)
    at, open_ones = end.copy(), np.flatnonzero(length)
    while len(open_ones):
        node[begin[open_ones] + forest.depth[at[open_ones]] - 1] = at[open_ones]
        at[open_ones] = forest.parent[at[open_ones]]
        open_ones = open_ones[forest.depth[at[open_ones]] > 0]
    return StepAdvantages(trajectory, step, node, np.zeros(begin[-1]), begin)


def _spread(
    own: NDArray[np.float64],
    mean: NDArray[np.float64],
    left: NDArray[np.int32],
    count: NDArray[np.int64],
    num_nodes: int,
) -> NDArray[np.float64]:
    """0 where returns are equal, but for rounding."""
    squares = np.bincount(left, weights=(own - mean) ** 2, minlength=num_nodes)[left]
    deviation: NDArray[np.float64] = np.sqrt(squares / np.maximum(count - 1, 1))
    deviation[deviation <= _ROUNDING * np.maximum(np.abs(mean), 1.0)] = 0.0
    return deviation


_ROUNDING = 1e-12
