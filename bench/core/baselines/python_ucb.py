"""A careful UCB search in plain Python on lists, equal to the core bit for bit.

Everything that does not change is prepared: the arms of each node as a list of indices, the
value of each ending, the logarithms of all counts; means are kept by the back-up and statistics
lie in flat lists. With `collapse` chains of nodes without a choice are one unit, so a descent
costs its decisions only. `prepare` is not timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tree:
    """Units: nodes, chains of nodes (collapsed) and STOP arms; unit 0 is the root."""

    arms: list[list[int]]
    value: list[float]
    top: list[int]  # first node of the unit
    bottom: list[int]  # last
    is_stop: list[bool]
    best_trajectory: list[int]


@dataclass(frozen=True, slots=True)
class Result:
    visits: list[int]  # by unit
    value_sum: list[float]
    best_end_node: int
    best_trajectory: int


def prepare(
    forest: dict[str, NDArray[Any]],
    total_return: NDArray[Any],
    tree: int,
    *,
    collapse: bool,
    stop_arm: bool = True,
) -> Tree:
    """The units of one tree that has trajectories."""
    subtree_end = forest["subtree_end"]
    num_children = forest["num_children"]
    num_terminal = forest["num_terminal"]
    units = Tree([], [], [], [], [], [])

    def add(top: int, is_stop: bool) -> int:
        for column, start in zip(
            (units.arms, units.value, units.top, units.bottom, units.is_stop),
            ([], 0.0, top, top, is_stop),
            strict=True,
        ):
            column.append(start)  # type: ignore[attr-defined]
        units.best_trajectory.append(-1)
        return len(units.arms) - 1

    add(int(forest["root"][tree]), False)
    unit = 0
    while unit < len(units.arms):
        node = units.top[unit]
        while (
            collapse
            and not units.is_stop[unit]
            and num_children[node] == 1
            and not (stop_arm and num_terminal[node])
        ):
            node += 1
        units.bottom[unit] = node
        if units.is_stop[unit] or num_children[node] == 0:
            first = forest["first_trajectory"][node]
            ending = forest["trajectory_order"][first : first + num_terminal[node]].tolist()
            total = 0.0
            for t in ending:
                total += float(total_return[t])
            units.value[unit] = total / len(ending)
            units.best_trajectory[unit] = max(ending, key=lambda t: total_return[t])
        else:
            if stop_arm and num_terminal[node]:
                units.arms[unit].append(add(node, True))
            child = node + 1
            while child < subtree_end[node]:
                units.arms[unit].append(add(child, False))
                child = int(subtree_end[child])
        unit += 1
    return units


def search(tree: Tree, *, num_simulations: int, exploration: float) -> Result:
    arms_of, value_of, is_stop = tree.arms, tree.value, tree.is_stop
    logarithm = [log(i + 1e-12) for i in range(num_simulations + 1)]
    visits = [0] * len(arms_of)
    value_sum = [0.0] * len(arms_of)
    mean = [0.0] * len(arms_of)
    for _ in range(num_simulations):
        unit = 0
        path = [0]
        while arms := arms_of[unit]:
            total = visits[unit]
            if len(arms) == 1:
                unit = arms[0]
            elif total < len(arms):
                unit = arms[total]  # arms are first visited in their order
            else:
                log_total = logarithm[total]
                best_score = -1e300
                if is_stop[arms[0]]:  # known after one visit: no bonus
                    unit = arms[0]
                    best_score = mean[unit]
                    arms = arms[1:]
                for arm in arms:
                    score = mean[arm] + exploration * sqrt(log_total / visits[arm])
                    if score > best_score:
                        best_score = score
                        unit = arm
            path.append(unit)
        value = value_of[unit]
        for unit in path:
            count = visits[unit] = visits[unit] + 1
            total_value = value_sum[unit] = value_sum[unit] + value
            mean[unit] = total_value / count
    unit = 0
    while arms := arms_of[unit]:
        unit = max((arm for arm in arms if visits[arm]), key=mean.__getitem__)
    return Result(visits, value_sum, tree.bottom[unit], tree.best_trajectory[unit])
