"""Trajectories that were read before: in a copy, or in a journal and in what was made of it.

seed, task, sample, attempt, who played and how     one before?   equal?
─────────────────────────────────────────────────   ───────────   ──────
known                                               no                     counts
                                                    yes           yes      is the one before
                                                    yes           no       counts, and is said
not known                                           cannot tell   yes      counts, and is said

Two with one key and different contents may both be right: a server asked the same again answers
something else, and two trained models play a test under one name. Not so within one journal,
which numbers its episodes itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Trajectory


@dataclass(slots=True)
class Pairs:
    """How often it happened, and where first: the place read, and the one before it."""

    count: int = 0
    first: tuple[str, str] | None = None

    def add(self, where: str, before: str) -> None:
        self.first = self.first or (where, before)
        self.count += 1


@dataclass(slots=True)
class Repeats:
    """What was read so far, by key; in memory two references and a place for each trajectory."""

    repeated: Pairs = field(default_factory=Pairs)
    alike: Pairs = field(default_factory=Pairs)
    differing: Pairs = field(default_factory=Pairs)
    _keyed: dict[Hashable, list[tuple[object, str]]] = field(default_factory=dict)
    _first: dict[Hashable, str] = field(default_factory=dict)
    _others: dict[int, list[tuple[object, str]]] = field(default_factory=dict)

    def is_new(self, trajectory: Trajectory, where: str, *, journal: str | None = None) -> bool:
        """Whether it counts: it is not one that was read before.

        Without seed and sample in its origin nobody can tell: two runs may be equal, so it counts.
        A `journal` (its name) numbers samples itself, also without a seed. Raises `InvalidInput`
        with both places where another trajectory of that journal has the same key.
        """
        key = _key(trajectory, journal)
        is_new = self.counts(trajectory, key, _gist(trajectory), where)
        if is_new and key is not None and journal is not None:
            self._refuse_another(trajectory, where, (journal, key))
        return is_new

    def new(self, runs: Iterable[tuple[Trajectory, str]]) -> list[tuple[Trajectory, str]]:
        """Those of runs and their places that count; raises what going through them raises."""
        return [(trajectory, where) for trajectory, where in runs if self.is_new(trajectory, where)]

    def counts(self, record: object, key: Hashable | None, gist: int, where: str) -> bool:
        """`is_new` of anything that compares as its trajectory does, with the key and the gist
        of it: equal where those of trajectories are."""
        if key is None:
            self._compare(record, gist, where)
            return True
        known = self._keyed.setdefault((key, gist), [])
        for before, place in known:
            if before == record:
                self.repeated.add(where, place)
                return False
        known.append((record, where))
        if (place := self._first.setdefault(key, where)) is not where:
            self.differing.add(where, place)
        return True

    def _refuse_another(self, trajectory: Trajectory, where: str, key: Hashable) -> None:
        if (place := self._first.setdefault(key, where)) is not where:
            raise InvalidInput(
                f"{where}: another trajectory than that of {place} has its {_named(trajectory)}, "
                "which a journal has once; was the file put together from two? read them apart"
            )

    def _compare(self, record: object, gist: int, where: str) -> None:
        known = self._others.setdefault(gist, [])
        for before, place in known:
            if before == record:
                self.alike.add(where, place)
                return
        known.append((record, where))


def _key(trajectory: Trajectory, journal: str | None) -> Hashable | None:
    origin = trajectory.origin
    if origin.sample_index is None or (origin.seed is None and journal is None):
        return None
    plan = (trajectory.task_id, origin.seed, origin.sample_index, origin.attempt)
    played = (origin.policy, origin.model, origin.temperature, origin.top_p)
    return (*plan, *played, journal if origin.seed is None else None)


def _gist(trajectory: Trajectory) -> int:
    """Of equal trajectories equal, of others hardly ever; far cheaper than a hash of everything."""
    steps = trajectory.steps
    said = [part for step in steps for part in (step.action, step.observation, step.response)]
    return hash((trajectory.task_id, trajectory.total_return, trajectory.status, *said))


def _named(trajectory: Trajectory) -> str:
    origin = trajectory.origin
    seed = "" if origin.seed is None else f"seed {origin.seed}, "
    return (
        f"task {trajectory.task_id!r}, {seed}sample {origin.sample_index}, attempt {origin.attempt}"
    )
