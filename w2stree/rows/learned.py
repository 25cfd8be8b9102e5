"""Which turns of each trajectory are learned; the others are context.

learned   True      False     True
turns     a1 a1 o1  a2 a2 o2  a3 a3
labels    a1 a1  -   -  -  -  a3 a3
"""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Trajectory

Learned = Sequence[Sequence[bool]]
"""By trajectory, by step."""


def check_learned(trajectories: Sequence[Trajectory], learned: Learned | None) -> None:
    """Raises `InvalidInput` unless `learned` has a truth value for each turn of each trajectory."""
    if learned is None:
        return
    if len(learned) != len(trajectories):
        raise InvalidInput(
            f"learned has {len(learned)} entries for {len(trajectories)} trajectories; give one "
            "for each"
        )
    for i, (trajectory, turns) in enumerate(zip(trajectories, learned, strict=True)):
        if len(turns) != len(trajectory.steps):
            raise InvalidInput(
                f"learned[{i}] has {len(turns)} entries for {len(trajectory.steps)} steps; give "
                "one for each"
            )
        for t, value in enumerate(turns):
            if value not in (True, False):
                raise InvalidInput(f"learned[{i}][{t}] is {value!r}; give True or False")
