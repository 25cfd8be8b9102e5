"""Which plans wait, which a worker has on lease, and which are settled: each of them once.

waiting ── hand_out ──> on lease ── settle ──> settled
   └──────── give_back ─────┘        (whoever played it: the first that comes counts)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from w2stree.rollouts.episode import EpisodePlan
from w2stree.trajectories.journal import Key

_MOST_WAVES = 64
"""Of a lease. At a lease's end a worker's environments wait for its longest episode: few leases
lose little (docs/growth.md). What a lost worker had not begun others play."""


def key_of_plan(plan: EpisodePlan) -> Key:
    """The key that its episode will have in a journal."""
    return plan.task_id, plan.sample_index, plan.attempt


class Leases:
    """Plans, handed out to workers by name. Plans of one key are one."""

    def __init__(self, plans: Sequence[EpisodePlan]) -> None:
        self._waiting = deque(plans)
        self._open = {key_of_plan(plan) for plan in plans}
        self._leased: dict[str, list[EpisodePlan]] = {}

    @property
    def num_open(self) -> int:
        """Plans that are not settled."""
        return len(self._open)

    def hand_out(self, worker: str, *, side_by_side: int, num_workers: int) -> list[EpisodePlan]:
        """The next lease of a worker that has none and plays `side_by_side` episodes; none: nothing
        waits.

        Half of an even share of what waits (guided self-scheduling, Polychronopoulos and Kuck
        1987), in whole waves: large leases first, small ones at the end, so that the workers end
        together.
        """
        share = len(self._waiting) // (2 * num_workers * side_by_side)
        size = side_by_side * min(max(share, 1), _MOST_WAVES)
        lease: list[EpisodePlan] = []
        while self._waiting and len(lease) < size:
            plan = self._waiting.popleft()
            if key_of_plan(plan) in self._open:
                lease.append(plan)
        self._leased[worker] = lease
        return lease

    def settle(self, key: Key) -> bool:
        """Whether a plan of that key was open; it no longer is."""
        if key not in self._open:
            return False
        self._open.remove(key)
        return True

    def give_back(self, worker: str) -> int:
        """A worker's lease is over or lost: what is not settled of it waits again, first of all.
        Returns how many."""
        open_ones = [p for p in self._leased.pop(worker, ()) if key_of_plan(p) in self._open]
        self._waiting.extendleft(reversed(open_ones))
        return len(open_ones)
