"""An exploration on a cluster, event by event: the driver's leases as they are, time as it is told.

    driver ── a lease ──> worker: episodes side by side ── on its disk ──┐
       └─< answers, one a worker under way: frames since the last ───────┘

What `RayExecutor._play`, `Crew` and `Worker` do, in their order; `Leases` itself. A worker tells of
what is on its disk as the next of its episodes ends, or its lease, or after five seconds; it has
one lease at a time, and gets the next when all of the last one has been heard. Workers that are
lost, or not up at the begin, are left out, and so are policies that play in lockstep.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.rollouts.cluster.recorded import Episode
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.cluster.leases import Leases, key_of_plan
from w2stree.rollouts.episode import EpisodePlan

NEWS_S = 5.0
"""How long a worker may wait until it has something to tell: the crew's, which needs Ray."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds. Of the driver: `answer` for each answer of a worker, `look` for each worker that it
    waits for whenever it looks for answers, `byte` for each byte of frames that it reads, checks,
    counts and writes. `message`: one way. `sync`: until what has ended is on a worker's disk."""

    message: float = 1e-3
    answer: float = 7e-4
    look: float = 1e-6
    byte: float = 8e-8
    sync: float = 2e-2


@dataclass(slots=True)
class Told:
    """By a simulation. Slots are workers times episodes side by side; their seconds together are
    `work`, what is `waited` for the others of a lease, `between` leases, and the `tail`, once
    nothing is left to hand out. `settled`: the plans' numbers in the order that they counted."""

    num_slots: int
    seconds: float
    ideal: float
    work: float
    waited: float
    between: float
    tail: float
    driver: float
    num_bytes: int
    num_leases: int
    num_answers: int
    settled: list[int] = field(repr=False)

    @property
    def loss(self) -> float:
        """Of the slots' time, beyond what the best schedule that there can be needs."""
        return 1 - self.ideal / self.seconds

    def share(self, seconds: float) -> float:
        """Of the time of all slots."""
        return seconds / (self.num_slots * self.seconds)


def simulate(
    episodes: Sequence[Episode], *, num_workers: int, side_by_side: int, costs: Costs
) -> Told:
    """Plays the episodes, each once, in their order. O(episodes log slots + turns of the driver x
    workers), some ten microseconds an episode."""
    return _Simulation(episodes, num_workers, side_by_side, costs).run()


@dataclass(slots=True)
class _Worker:
    """Mirrors `Worker`: what it was asked, and what is on its disk and not told."""

    name: str
    plans: deque[int] = field(default_factory=deque)
    playing: int = 0
    is_over: bool = True
    ended: deque[tuple[float, int]] = field(default_factory=deque)  # when on the disk, which
    question: int = 0  # the number of the one that waits; 0: none
    free_since: list[float] = field(default_factory=list)  # of each slot that has nothing to play
    over_at: float = 0.0


class _Simulation:
    def __init__(
        self, episodes: Sequence[Episode], num_workers: int, side_by_side: int, costs: Costs
    ) -> None:
        self._episodes, self._side_by_side, self._costs = episodes, side_by_side, costs
        self._plans = [EpisodePlan(f"{i}", 0, Sampling(), 0) for i in range(len(episodes))]
        self._leases = Leases(self._plans)
        self._workers = {str(i): _Worker(str(i)) for i in range(num_workers)}
        for worker in self._workers.values():
            worker.free_since = [0.0] * side_by_side
        self._idle = dict.fromkeys(self._workers)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._mail: list[tuple[_Worker, list[int] | None, bool]] = []
        self._is_waiting = False  # the driver, for mail
        self._count = self._asked = self._num_handed = self._num_leases = self._num_answers = 0
        self._now = self._supply_end = self._driver = 0.0
        self._gaps: list[tuple[float, float, float]] = []  # of a slot: free, its lease over, busy
        self._settled: list[int] = []

    def run(self) -> Told:
        self._at(0.0, self._turn)
        while self._leases.num_open:
            self._now, _, happens, given = heapq.heappop(self._events)
            happens(*given)
        return self._told()

    def _at(self, when: float, happens: Callable[..., None], *given: Any) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, happens, given))

    # The driver: `RayExecutor._play` and `Crew.answers`.

    def _turn(self) -> None:
        """Takes all answers that are there, and hands out leases."""
        costs, mail, self._mail = self._costs, self._mail, []
        self._is_waiting = False
        spent = costs.look * self._asked + costs.answer * len(mail)
        answered = self._now + spent
        for worker, _, is_idle in mail:
            if is_idle:
                self._asked -= 1
            else:
                self._at(answered + costs.message, self._hear, worker)
        for _, told, _ in mail:
            for number in told or ():
                spent += costs.byte * self._episodes[number].num_bytes
                if self._leases.settle(key_of_plan(self._plans[number])):
                    self._settled.append(number)
        self._num_answers += len(mail)
        self._driver += spent
        self._now += spent
        for worker, _, is_idle in mail:
            if is_idle:
                self._leases.give_back(worker.name)
                self._idle[worker.name] = None
        self._hand_out()
        self._at(self._now, self._look)

    def _hand_out(self) -> None:
        if self._num_handed == len(self._plans):
            return  # a lease would be empty
        for name in list(self._idle):
            lease = self._leases.hand_out(
                name, side_by_side=self._side_by_side, num_workers=len(self._workers)
            )
            if not lease:
                continue
            del self._idle[name]
            self._asked += 1
            self._num_leases += 1
            self._num_handed += len(lease)
            if self._num_handed == len(self._plans):
                self._supply_end = self._now
            numbers = [int(plan.task_id) for plan in lease]
            self._at(self._now + self._costs.message, self._play, self._workers[name], numbers)

    def _look(self) -> None:
        if self._mail:
            self._turn()
        else:
            self._is_waiting = True

    def _arrives(self, worker: _Worker, told: list[int] | None, is_idle: bool) -> None:
        self._mail.append((worker, told, is_idle))
        if self._is_waiting:
            self._turn()

    # A worker: `Worker.play`, `Worker.news`.

    def _play(self, worker: _Worker, numbers: list[int]) -> None:
        worker.plans.extend(numbers)
        worker.is_over = False
        free, worker.free_since = worker.free_since, []
        for since in free:
            if worker.plans:
                self._gaps.append((since, worker.over_at, self._now))
                self._begin(worker)
            else:
                worker.free_since.append(since)
        self._at(self._now + self._costs.message, self._arrives, worker, None, False)

    def _begin(self, worker: _Worker) -> None:
        number = worker.plans.popleft()
        worker.playing += 1
        self._at(self._now + self._episodes[number].seconds, self._ends, worker, number)

    def _ends(self, worker: _Worker, number: int) -> None:
        was_synced = bool(worker.ended) and worker.ended[0][0] <= self._now
        worker.playing -= 1
        worker.ended.append((self._now + self._costs.sync, number))
        if worker.plans:
            self._begin(worker)
        else:
            worker.free_since.append(self._now)
        if was_synced:
            self._answer(worker)
        if not worker.playing:
            self._at(self._now + self._costs.sync, self._is_over, worker)

    def _is_over(self, worker: _Worker) -> None:
        worker.is_over, worker.over_at = True, self._now
        self._answer(worker)

    def _hear(self, worker: _Worker) -> None:
        """The question for news comes."""
        self._count += 1
        worker.question = self._count
        if worker.is_over or (worker.ended and worker.ended[0][0] <= self._now):
            self._answer(worker)
        else:
            self._at(self._now + NEWS_S, self._too_long, worker, worker.question)

    def _too_long(self, worker: _Worker, question: int) -> None:
        if worker.question == question:
            self._answer(worker)

    def _answer(self, worker: _Worker) -> None:
        if not worker.question:
            return
        worker.question = 0
        told = []
        while worker.ended and worker.ended[0][0] <= self._now:
            told.append(worker.ended.popleft()[1])
        is_idle = worker.is_over and not worker.ended
        self._at(self._now + self._costs.message, self._arrives, worker, told, is_idle)

    def _told(self) -> Told:
        end, supply = self._now, self._supply_end
        for worker in self._workers.values():
            self._gaps += [(since, max(since, worker.over_at), end) for since in worker.free_since]
        waited = between = tail = 0.0
        for free, over, busy in self._gaps:
            over = max(free, over)
            waited += max(0.0, min(over, supply) - free)
            between += max(0.0, min(busy, supply) - min(over, supply))
            tail += busy - max(free, min(busy, supply))
        num_slots = len(self._workers) * self._side_by_side
        work = sum(episode.seconds for episode in self._episodes)
        longest = max((episode.seconds for episode in self._episodes), default=0.0)
        return Told(
            num_slots=num_slots,
            seconds=end,
            ideal=max(work / num_slots, longest),
            work=work,
            waited=waited,
            between=between,
            tail=tail,
            driver=self._driver,
            num_bytes=sum(episode.num_bytes for episode in self._episodes),
            num_leases=self._num_leases,
            num_answers=self._num_answers,
            settled=self._settled,
        )
