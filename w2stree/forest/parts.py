"""What a forest is made of, before it has its face (`forest.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from w2stree import _core
from w2stree.forest.merges import NO_MERGES, Merges
from w2stree.forest.merging import Merging
from w2stree.forest.stored_rule import Rule
from w2stree.forest.vectors import Vectors
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
    rule: Rule = field(default_factory=Merging)
    """The rule observations are merged by, as far as it is known."""
    merges: Merges = NO_MERGES
    """Observations that counted as one because they are similar."""
    vectors: Vectors = field(default_factory=Vectors)
    """Embeddings of its observations, as far as they were needed."""
