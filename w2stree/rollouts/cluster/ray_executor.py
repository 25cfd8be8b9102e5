"""Plays an exploration's plans on the machines that Ray is connected to.

    Exploration <── episodes, each once ── RayExecutor ── leases ──> workers
         │                                     ^                        │
      journal of the run                       └── frames of theirs ────┘

What counts is in a worker's journal on its machine's disk before the driver hears of it, and in the
run's journal before it is acknowledged. What comes twice, from a lease that was thought lost or
from the journal that a killed worker left, is known by its key: the first one counts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ray.exceptions import RayError

from w2stree.errors import Error
from w2stree.policies.protocol import ModelName
from w2stree.rollouts.cluster.crew import Answer, Crew
from w2stree.rollouts.cluster.leases import Leases
from w2stree.rollouts.cluster.worker import Lease
from w2stree.rollouts.episode import Ended, EpisodePlan, Timed, Unplayed, untimed
from w2stree.rollouts.executor import Part
from w2stree.trajectories.episodes import sent_episodes
from w2stree.trajectories.journal import Journal, Key, key_of
from w2stree.trajectories.trajectory import Trajectory


class RayExecutor:
    """An `Executor` over a crew; use it with `with`, within the run's `journal`.

    Leaving the block, for whatever reason, puts what workers have beside that into the journal,
    and ends them. Episodes of an earlier session that died, left on a machine's disk, take their
    plans' places when these are to be played.
    """

    def __init__(self, crew: Crew, journal: Journal) -> None:
        self._crew, self._journal = crew, journal
        self._given: set[Key] = set()  # to whoever writes them into the journal
        self._found: dict[Key, Trajectory] = {}  # heard of, and not given yet

    def __len__(self) -> int:
        return self._crew.num_side_by_side

    def part(self, model: ModelName, *, count_tokens: bool, timed: Timed = untimed) -> Part:
        """`timed` is told nothing: each machine has its own clock."""
        return functools.partial(self._play, model, count_tokens)

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._collect()
                self._crew.discard()
            else:
                with suppress(Error, RayError):  # what ended it is told, not what followed
                    self._collect()
        finally:
            self._crew.dismiss()

    def _play(self, model: ModelName, count_tokens: bool, plans: Sequence[EpisodePlan]) -> Ended:
        leases = Leases(plans)
        while True:
            # Whoever consumes this may stop at any of them: what was heard is kept till then.
            yield from self._wanted(leases)
            if not leases.num_open:
                return
            for name, side_by_side in self._crew.idle():
                lease = leases.hand_out(
                    name, side_by_side=side_by_side, num_workers=self._crew.num_workers
                )
                if lease:
                    self._crew.play(name, Lease(tuple(lease), model, count_tokens))
            answers = self._crew.answers()
            unplayed = [episode for answer in answers for episode in self._hear(answer)]
            yield from self._wanted(leases)
            for episode in unplayed:
                if leases.settle(key_of(episode.trajectory)):
                    yield episode
            for answer in answers:
                if answer.is_at_rest:
                    leases.give_back(answer.name)

    def _hear(self, answer: Answer) -> tuple[Unplayed, ...]:
        if answer.news is None:
            return ()
        is_new = False
        for trajectory in sent_episodes(answer.news.frames, answer.host):
            key = key_of(trajectory)
            if not (key in self._found or key in self._given or key in self._journal.keys):
                self._found[key] = trajectory
                is_new = True
        if is_new:
            self._crew.made_progress(answer.name)
        return answer.news.unplayed

    def _wanted(self, leases: Leases) -> Iterator[Trajectory]:
        """Those heard of that are to be played: they have been."""
        for key in [key for key in self._found if leases.settle(key)]:
            self._given.add(key)
            yield self._found.pop(key)

    def _collect(self) -> None:
        for answer in self._crew.collect():
            self._hear(answer)
        for key, trajectory in self._found.items():
            if key not in self._journal.keys:
                self._journal.append(trajectory)
        self._journal.commit()
