"""A batch of trajectories as columns of ids, with the texts of the ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest.openings import Openings, check_openings, refuse_other_opening
from w2stree.forest.texts import TextColumn
from w2stree.trajectories.records import Records
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
    """As given, where they were trajectories."""
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
    if isinstance(trajectories, Records) and (
        openings == "any" or trajectories.columns.has_one_prompt_a_task()
    ):
        return _of_records(trajectories)
    kept, num_errors, ids, texts = _core.intern_trajectories(
        trajectories, Trajectory, Step, refuse_other_opening if openings == "equal" else None
    )
    return Batch(*ids, *texts, trajectories=kept, num_errors=num_errors)


def _of_records(records: Records) -> Batch:
    """What is in columns already; no trajectory is made."""
    columns = records.columns
    task_ids, actions, observations = columns.texts
    return Batch(
        columns.action_id,
        columns.observation_id,
        columns.step_offset,
        columns.tree_id,
        columns.total_return,
        tuple(TextColumn(*task_ids)),
        TextColumn(*actions),
        TextColumn(*observations),
        trajectories=records.played,
        num_errors=int(np.count_nonzero(records.is_error)),
    )
