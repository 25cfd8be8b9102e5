"""The workers of a cluster, as actors of Ray: started, asked, lost, started again.

    seat ──> open ──> news ──> idle ──> play ──> news ──> … ──> idle
               └────────┴─────────────────┴────────┴──> lost ──> open, on the same seat

One question a worker is under way at a time, and its answer may be lost with it: all that a worker
has acknowledged is in its journal, and is asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from w2stree.errors import Error, ExplorationFailure
from w2stree.rollouts.cluster.seats import Seat, seats_of
from w2stree.rollouts.cluster.worker import Equipment, Lease, News, Worker
from w2stree.shorten import shorten

MAX_LOSSES_IN_A_ROW = 5
"""Of workers of one seat, without an episode between them: it is given up."""

_NEWS_S = 5.0  # how long a worker may wait until it has something to tell
_PAUSE_S = 0.2
_LOOK_S = 5.0  # between looks at which machines there are
_NOBODY_S = 60.0  # until it is told that a machine is not free, an error that there is none
_REASON = 300  # columns; Ray adds a page of common causes
_COLLECT_S = 60.0  # for what a worker has at the end


@dataclass(slots=True)
class _Hand:
    """A worker, what it was asked last, and how much of its journal is known."""

    seat: Seat
    actor: Any
    asked: Any  # the reference of the answer; None: idle
    doing: str = "open"
    host: str = ""
    side_by_side: int = 0
    end: int = 0
    since: float = field(default_factory=time.monotonic)
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the worker `name` told, on `host`; without news it is lost, and its lease with it."""

    name: str
    host: str
    news: News | None

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing more is to come of its lease."""
        return self.news is None or self.news.is_idle


@dataclass(slots=True)
class Crew:
    """Keeps a worker on every seat of the cluster that Ray is connected to.

    `told` hears in words of machines that come and go. Workers are named by their seats; a lost one
    and the next on its seat have one name.
    """

    equipment: Equipment
    told: Callable[[str], None]
    _hands: dict[str, _Hand] = field(default_factory=dict, init=False)
    _losses: dict[str, list[str]] = field(default_factory=dict, init=False)
    _looked: float = field(default=0.0, init=False)
    _seen: float = field(default_factory=time.monotonic, init=False)

    @property
    def num_side_by_side(self) -> int:
        """Episodes of all workers that are there; at least 1."""
        return max(1, sum(hand.side_by_side for hand in self._hands.values()))

    @property
    def num_workers(self) -> int:
        """Those that play or can."""
        return max(1, sum(hand.side_by_side > 0 for hand in self._hands.values()))

    def idle(self) -> list[tuple[str, int]]:
        """Workers without a lease, and how many episodes each plays side by side."""
        return [
            (name, hand.side_by_side) for name, hand in self._hands.items() if hand.asked is None
        ]

    def play(self, name: str, lease: Lease) -> None:
        """Have an idle worker play; `answers` tells what comes of it."""
        hand = self._hands[name]
        hand.asked, hand.doing = hand.actor.play.remote(lease), "play"

    def made_progress(self, name: str) -> None:
        """An episode of this worker counts: its seat is sound."""
        self._losses.pop(name, None)

    def answers(self) -> list[Answer]:
        """What workers have told since the last call; waits for some.

        Raises what ended a lease, an error of ours or a mistake of the user's, and
        `ExplorationFailure` where no machine is left to play on.
        """
        self._look()
        asked = {h.asked: name for name, h in self._hands.items() if h.asked is not None}
        if not asked:
            self._refuse_to_wait_for_nobody()
            time.sleep(_PAUSE_S)
            return []
        ray.wait(list(asked), num_returns=1, timeout=_NEWS_S)
        ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)  # and the others
        answers = [self._answer(asked[reference]) for reference in ready]
        return [answer for answer in answers if answer is not None]

    def collect(self) -> Iterator[Answer]:
        """What workers have and were not asked for yet, at the end, whatever ended it. A worker
        that is lost meanwhile is passed over."""
        self._wait_for_late_ones()
        due = time.monotonic() + _COLLECT_S
        for name, hand in self._hands.items():
            is_all = not hand.side_by_side  # not up yet
            while not is_all and time.monotonic() < due:
                try:
                    asked = hand.actor.news.remote(hand.end, 0.0)
                    news = ray.get(asked, timeout=max(0.0, due - time.monotonic()))
                except RayError:
                    break
                hand.end, is_all = news.end, not news.frames
                yield Answer(name, hand.host, news)

    def _wait_for_late_ones(self) -> None:
        """A moment, for workers that are coming up: they may have a dead one's journal by now."""
        late = {hand.asked: hand for hand in self._hands.values() if hand.doing == "open"}
        if not late:
            return
        ready, _ = ray.wait(list(late), num_returns=len(late), timeout=_NEWS_S)
        for reference in ready:
            with suppress(RayError):
                late[reference].host, late[reference].side_by_side = ray.get(reference)

    def discard(self) -> None:
        """Have workers delete their journals: all that counts of them was collected."""
        told = [hand.actor.discard.remote() for hand in self._hands.values() if hand.side_by_side]
        if told:
            ray.wait(told, num_returns=len(told), timeout=_COLLECT_S)

    def dismiss(self) -> None:
        """End all workers at once, with all that they started."""
        for hand in self._hands.values():
            _kill(hand.actor)
        self._hands.clear()

    def _look(self) -> None:
        """Put workers on seats that have none; forget those whose machine is gone."""
        if time.monotonic() - self._looked < _LOOK_S and self._hands:
            return
        self._looked = time.monotonic()
        equipped = self.equipment.equipped
        seats = seats_of(
            ray.nodes(), num_processes=equipped.num_processes, on_gpus=equipped.on_gpus
        )
        if seats:
            self._seen = self._looked
        for seat in seats:
            name = _name(seat)
            is_given_up = len(self._losses.get(name, ())) >= MAX_LOSSES_IN_A_ROW
            if name not in self._hands and not is_given_up:
                self._hands[name] = self._start(seat)
        for hand in self._hands.values():
            if hand.doing == "open" and not hand.is_told and self._looked - hand.since > _NOBODY_S:
                hand.is_told = True
                self.told(
                    f"{hand.host}: its worker is not up after {_NOBODY_S:g} s: no core is free "
                    "there (`ray status` shows it), or it is slow; still waiting"
                )

    def _start(self, seat: Seat) -> _Hand:
        actor = (
            ray.remote(Worker)
            .options(
                num_cpus=seat.num_cpus,
                num_gpus=seat.num_gpus,
                max_concurrency=2,  # what it has is asked for at the end, whatever it is doing
                scheduling_strategy=NodeAffinitySchedulingStrategy(seat.node, soft=False),
            )
            .remote(self.equipment)
        )
        return _Hand(seat, actor, actor.open.remote(), host=seat.host)

    def _answer(self, name: str) -> Answer | None:
        """The answer to what a worker was asked, if it is news; asks it the next thing."""
        hand = self._hands[name]
        try:
            said = ray.get(hand.asked)
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, Error):
                raise type(cause)(f"{hand.host}: {cause}") from None
            raise cause if isinstance(cause, Exception) else error from None
        except RayError as error:
            self._lose(name, str(error))
            return Answer(name, hand.host, None)
        if hand.doing == "open":
            hand.host, hand.side_by_side = said
        news = said if isinstance(said, News) else None
        if news is not None:
            hand.end = news.end
        if news is not None and news.is_idle:
            hand.asked = None
        else:
            hand.asked, hand.doing = hand.actor.news.remote(hand.end, _NEWS_S), "news"
        return None if news is None else Answer(name, hand.host, news)

    def _lose(self, name: str, error: str) -> None:
        hand = self._hands.pop(name)
        _kill(hand.actor)  # it may be out of reach only, and would play on beside the next
        lines = [line.strip() for line in error.splitlines() if line.strip()]
        reason = shorten(": ".join(dict.fromkeys([*lines[:1], *lines[-1:]])), _REASON) or "unknown"
        losses = self._losses.setdefault(name, [])
        losses.append(f"{hand.host}: {reason}")
        self._looked = 0.0
        if len(losses) == MAX_LOSSES_IN_A_ROW:
            self.told(
                f"{hand.host}: given up: {len(losses)} workers were lost one after the other "
                f"without an episode between them ({reason})"
            )
        else:
            self.told(f"{hand.host}: its worker is lost ({reason}); what it had is played again")

    def _refuse_to_wait_for_nobody(self) -> None:
        """Raises where nobody is asked and nobody will come."""
        if self._hands:
            return  # idle ones: there is nothing to play
        given_up = [
            losses[-1] for losses in self._losses.values() if len(losses) >= MAX_LOSSES_IN_A_ROW
        ]
        if time.monotonic() - self._seen > _NOBODY_S or given_up:
            why = "; ".join(given_up) or "Ray knows of none with a free core"
            raise ExplorationFailure(
                f"no machine of the cluster is left to play on: {why}\n"
                "mend it (`ray status` shows the cluster) and run the same command again to go on"
            )


def _name(seat: Seat) -> str:
    return f"{seat.node}/{seat.number}"


def _kill(actor: Any) -> None:
    with suppress(RayError):
        ray.kill(actor, no_restart=True)
