"""Hypothesis strategies: trajectories that collide on purpose."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from hypothesis import strategies as st

from w2stree.trajectories.trajectory import Message, Step, Trajectory

T = TypeVar("T")

PROMPT = (Message("user", "Find the coin."),)

# Few texts, so that prefixes, duplicates and both kinds of divergence are common; look-alikes
# (case, trailing space, composed and combining accents) that must not merge.
ACTIONS = ["go", "Go", "go ", "", "é", "e\u0301", "打开 门", "🗝"]
OBSERVATIONS = ["", "ok", "ok\n"]

# Ties, near-ties and rounding: 0.1 + 0.2 != 0.3.
RETURNS = [0.0, 1.0, 0.5, 0.1, 0.2, 0.3, 0.1 + 0.2, 1 / 3, -0.0, -1.0, 0.9999999999999999]
DYADIC = [0.0, 0.25, 0.5, 0.75, 1.0]  # sums of these are exact in any order

# The options of `Forest.search` and of `Forest.pairs`.
SEARCHES = st.fixed_dictionaries(
    {
        "num_simulations": st.sampled_from([1, 2, 3, 7, 50, 200]),
        "exploration": st.sampled_from([0.0, 0.1, 1.41, 100.0]),
        "return_range": st.sampled_from([(-1.0, 1.0), (-1.5, 2.0)]),
        "stop_arm": st.booleans(),
        "backup": st.sampled_from(["mean", "max"]),
        "min_visits": st.sampled_from([0, 1, 3, 20]),
        "num_paths": st.sampled_from([1, 2, 3, 100]),
        "patience": st.sampled_from([None, 1, 5, 20, 1000]),
    }
)
PAIR_RULES = st.fixed_dictionaries(
    {
        "min_gap": st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.3 - 0.1, 1.0, 1.5, 1e308]),
        "success_threshold": st.sampled_from([None, 0.0, 0.3, 0.5, 0.65, 1.0, -1.0, 2.0]),
        "return_range": st.sampled_from([(-1.0, 1.0), (-1.5, 2.0)]),
    }
)


@st.composite
def trajectory_lists(draw: st.DrawFn, returns: list[float] | None = None) -> list[Trajectory]:
    """1 to 14 trajectories of up to three tasks; half of them begin as another one did."""
    num_actions = draw(st.integers(1, len(ACTIONS)))
    steps = st.builds(
        Step,
        action=st.sampled_from(ACTIONS[:num_actions]),
        observation=st.sampled_from(OBSERVATIONS),
    )
    drawn: list[Trajectory] = []
    for _ in range(draw(st.integers(1, 14))):
        shared: tuple[Step, ...] = ()
        if drawn and draw(st.booleans()):
            other = draw(st.sampled_from(drawn)).steps
            shared = other[: draw(st.integers(0, len(other)))]
        own = tuple(draw(st.lists(steps, max_size=4)))
        drawn.append(
            Trajectory(
                task_id=draw(st.sampled_from(["a", "b", "ü"])),
                prompt=PROMPT,
                steps=shared + own,
                total_return=draw(st.sampled_from(returns or RETURNS)),
                status=draw(st.sampled_from(["done", "truncated"])),
            )
        )
    return drawn


def episode(
    actions: str, total_return: float, task_id: str = "task", status: str = "done"
) -> Trajectory:
    """One step for each letter; an upper-case letter is answered by another observation."""
    steps = tuple(Step(a.lower(), "other" if a.isupper() else "usual") for a in actions)
    return Trajectory(task_id, PROMPT, steps, total_return, status)  # type: ignore[arg-type]


def forged(value: T, **change: Any) -> T:
    """A copy with fields that the class would not take: what others check all the same."""
    other = copy.copy(value)
    for name, given in change.items():
        object.__setattr__(other, name, given)
    return other
