"""Best-first search in a task's environment.

    score so far + worth of the next action      the most promising (state, action) is played next

A state that looks like one reached before, by no more steps, is not gone on from.
"""

from __future__ import annotations

import contextlib
import heapq

from w2stree.rollouts.recombination.states import BudgetSpent, Key, Played, State
from w2stree.rollouts.recombination.values import Actions
from w2stree.trajectories.returns import at_least

_KEPT_FOR_SHORTENING = 4  # a fourth of the budget


def is_better(state: State, than: State) -> bool:
    """A higher score; of equal ones an end of the environment's own, then fewer steps."""
    if not at_least(than.score, state.score):
        return True
    if not at_least(state.score, than.score):
        return False
    return (not state.is_terminated, state.depth) < (not than.is_terminated, than.depth)


def best_known(played: Played) -> State:
    """Of all states that were played; of equals the first one."""
    best = played.root
    for state in played.states():
        if is_better(state, best):
            best = state
    return best


def searched(played: Played, actions: Actions, *, greatest: float, shorten: bool) -> State:
    """The best state once the search is over; with `shorten` a fourth of the whole budget is left
    for that. Raises `AnswersDiffer`."""
    played.purpose = "search"
    search = Search(played, actions, greatest=greatest)
    kept = played.budget // _KEPT_FOR_SHORTENING if shorten else 0
    played.budget -= kept
    with contextlib.suppress(BudgetSpent):
        search.run()
    played.budget += kept
    return search.best


class Search:
    """From all states that `played` knows, until the budget is spent (`BudgetSpent`), nothing is
    left, or the best state has the greatest return there can be; `best` holds at any time."""

    def __init__(self, played: Played, actions: Actions, *, greatest: float) -> None:
        self._played, self._actions = played, actions
        self._greatest = greatest
        self._shortest: dict[Key, State] = {}
        self._waiting: list[tuple[float, int, State, str]] = []
        self._number = 0
        self.best = played.root
        for state in played.states():
            self._meet(state)

    @property
    def is_over(self) -> bool:
        best = self.best
        return at_least(best.score, self._greatest)

    def run(self) -> None:
        while self._waiting and not self.is_over:
            _, _, state, action = heapq.heappop(self._waiting)
            if self._shortest[state.key()] is not state or action in state.known:
                continue
            self._meet(self._played.step(state, action))

    def _meet(self, state: State) -> None:
        if is_better(state, self.best):
            self.best = state
        key = state.key()
        other = self._shortest.get(key)
        if other is not None and other.depth <= state.depth:
            return
        self._shortest[key] = state
        if state.is_over:
            return
        for action in self._actions.at(state):
            self._number += 1
            promise = state.score + self._actions.worth_at(state, action)
            heapq.heappush(self._waiting, (-promise, -self._number, state, action))
