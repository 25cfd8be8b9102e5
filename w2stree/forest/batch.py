"""A batch of trajectories as columns of ids, with the texts of the ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest.openings import Openings, check_openings, refuse_other_opening
from w2stree.trajectories.trajectory import Step, Trajectory


@dataclass(frozen=True, slots=True)
class Batch:
    """Trajectories as `cpp/include/w2stree/forest/trajectories.hpp` lays them out, and the texts
    of their ids."""

    action_id: NDArray[np.int32]
    observation_id: NDArray[np.int32]
    step_offset: NDArray[np.int64]
    tree_id: NDArray[np.int32]
    total_return: NDArray[np.float64]
    task_ids: Sequence[str]
    actions: Sequence[str]
    observations: Sequence[str]
    trajectories: Sequence[Trajectory] | None = None
    """As given, where they were `Trajectory` objects."""
    num_errors: int = 0


def batch_of(trajectories: Iterable[Trajectory], openings: Openings = "equal") -> Batch:
    """Trajectories as columns. Raises as `build_forest` does, but none left is fine."""
    check_openings(openings)
    try:
        iter(trajectories)
    except TypeError:
        raise TypeError(
            f"trajectories is {type(trajectories).__name__}; expected an iterable of Trajectory"
        ) from None
    kept, num_errors, ids, texts = _core.intern_trajectories(
        trajectories, Trajectory, Step, refuse_other_opening if openings == "equal" else None
    )
    return Batch(*ids, *texts, trajectories=kept, num_errors=num_errors)
