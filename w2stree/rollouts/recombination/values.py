"""What the runs of a task say of their actions: what each earned, and what it made possible.

run 1   take cup +0.25 ─ open box  0  ─ put cup in box +0.25
offers                   put cup in box is offered from here on: opening the box made it so

worth   take cup 0.25    put cup in box 0.25    open box 0.125
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from w2stree.rollouts.recombination.states import State

_HANDED_BACK = 0.5
_REACH = 4


class Actions(Protocol):
    """What a search may take where, and how much it promises itself of it."""

    def at(self, state: State) -> Sequence[str]:
        """Those that are tried at a state; of equal promise the last one first."""

    def worth_at(self, state: State, action: str) -> float:
        """In terms of the score."""

    def may_take(self, state: State, action: str) -> bool:
        """Whether a path that is being shortened may take it here."""


class Vocabulary:
    """The actions that runs took, in the order first taken, and the worth of each.

    The worth of an action is the most that it earned at once in any run, or half the worth of an
    action that it made possible: one that the environment offered after it and not before. Where
    nothing is offered, what a run did before an action may have made it possible, so that up to
    `_REACH` steps before it share in its worth, each half as much as the one after it.
    """

    def __init__(self, ways: Iterable[Sequence[State]]) -> None:
        self.worth: dict[str, float] = {}
        self._unlisted: dict[str, set[frozenset[str]]] = {}
        made_possible: list[tuple[str, str]] = []
        for way in ways:
            for i, state in enumerate(way):
                assert state.before is not None
                if not state.action:  # a turn without one
                    continue
                earned = self.worth.get(state.action, state.reward)
                self.worth[state.action] = max(earned, state.reward)
                before = state.before.offers
                if before and state.action not in before:
                    self._unlisted.setdefault(state.action, set()).add(before)
                if state.offers or before:
                    made_possible += ((state.action, new) for new in state.offers - before)
                elif i + 1 < len(way):
                    made_possible.append((state.action, way[i + 1].action))
        self._hand_back(made_possible)

    def _hand_back(self, made_possible: Sequence[tuple[str, str]]) -> None:
        pairs = [pair for pair in dict.fromkeys(made_possible) if pair[1] in self.worth]
        for _ in range(_REACH):
            for action, possible in pairs:
                self.worth[action] = max(self.worth[action], _HANDED_BACK * self.worth[possible])

    @property
    def has_reward(self) -> bool:
        """Whether any action of it is known to be worth something."""
        return any(worth > 0 for worth in self.worth.values())

    def at(self, state: State) -> list[str]:
        """Those of it that may be taken at a state."""
        return [action for action in self.worth if self.may_take(state, action)]

    def worth_at(self, state: State, action: str) -> float:
        """The same at every state."""
        return self.worth[action]

    def may_take(self, state: State, action: str) -> bool:
        """Whether an action may be tried: what is offered, everything where nothing is listed, and
        what a run took although the same offers did not list it."""
        if not state.offers or action in state.offers:
            return True
        return state.offers in self._unlisted.get(action, ())
