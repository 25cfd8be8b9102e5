"""What a forest is made of, before it has its face (`forest.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from w2stree import _core
from w2stree.forest.merging import Merging, ObservationMerge
from w2stree.trajectories.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class ForestParts:
    """The core's forest, the texts of its ids, and what came with them.

    Whatever makes a forest (growth, merging, a file) returns these; `Forest(parts)` is what
    users see. So the makers need not know the face that offers them.
    """

    core: _core.Forest
    task_ids: Sequence[str]
    """Task of each tree, in order of first appearance."""
    actions: Sequence[str]
    """Text of each action id, in order of first appearance."""
    observations: Sequence[str]
    """Text of each observation id, in order of first appearance."""
    trajectories: Sequence[Trajectory] | None = None
    """As given; None where they have to be read back off the tree."""
    num_errors: int = 0
    """Trajectories with status "error", left out."""
    merging: Merging = field(default_factory=Merging)
    """The rule observations are merged by."""
    merges: tuple[ObservationMerge, ...] = ()
    """Observations that counted as one because they are similar."""
