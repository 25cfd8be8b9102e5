"""All that an environment offers, for a search that may take what no run took.

    plain      take cup 0       look 0    put cup in box 0      in a drawn order
    guided     take cup 0.25    look 0    put cup in box 0      first what had worth in a run

Either way the score so far is what counts first.
"""

from __future__ import annotations

import hashlib

from w2stree.rollouts.recombination.states import State
from w2stree.rollouts.recombination.values import Vocabulary


class Offered:
    """Whatever the environment offers, each as promising as the next, in a drawn order.

    No order of an environment's, nor of the alphabet, would know nothing: in a game of `take` and
    `put` the alphabet from its end is half the solution (docs/exploration.md).
    """

    def __init__(self, drawn_by: str) -> None:
        self._drawn_by = drawn_by

    def at(self, state: State) -> list[str]:
        """Another order at every state; the same one for the same `drawn_by`."""
        way = "\n".join((self._drawn_by, *state.actions()))
        return sorted(state.offers, key=lambda action: _digest(f"{way}\n{action}"))

    def worth_at(self, state: State, action: str) -> float:
        """Nothing is known of any."""
        return 0.0

    def may_take(self, state: State, action: str) -> bool:
        """What is offered."""
        return action in state.offers


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Guided(Offered):
    """The same, in the order that the runs of the task suggest."""

    def __init__(self, drawn_by: str, vocabulary: Vocabulary) -> None:
        super().__init__(drawn_by)
        self._vocabulary = vocabulary

    def at(self, state: State) -> list[str]:
        """What is offered, and what runs took although it was not; all that they took where nothing
        is offered."""
        unlisted = [a for a in self._vocabulary.at(state) if a not in state.offers]
        return [*unlisted, *super().at(state)]

    def worth_at(self, state: State, action: str) -> float:
        """Its worth in the runs, once on a way: what was earned is earned. What runs took in vain
        comes no later than what none took: that was tried, and changed nothing
        (docs/exploration.md)."""
        worth = self._vocabulary.worth.get(action, 0.0)
        return 0.0 if worth <= 0 or action in state.actions() else worth

    def may_take(self, state: State, action: str) -> bool:
        """As `at`."""
        return self._vocabulary.may_take(state, action)
