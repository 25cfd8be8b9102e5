"""Steps that a path can do without: left out one after another, each time played again.

    take cup ─ look ─ take pen ─ put pen in sink ─ put cup in box        0.5
    take cup ────────          ─                 ─ put cup in box        0.5   kept

Tried first is the shortest way through all that was played, where states that look alike count as
one: a loop between two of them is no part of it, and it may go from one run's steps to another's.
Then runs of steps are left out, from half the path down to single ones, and with them what cannot
be taken any more. It is delta debugging (Zeller & Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002) of a success.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence

from w2stree.rollouts.recombination.states import BudgetSpent, Key, Played, State
from w2stree.rollouts.recombination.values import Actions
from w2stree.trajectories.returns import at_least


def shortest(played: Played, state: State, takes: Actions, *, short_cut: bool = True) -> State:
    """The last of `shorter` that the budget reaches to, or `state`. Raises `AnswersDiffer`."""
    played.purpose = "shortening"
    with contextlib.suppress(BudgetSpent):
        for less in shorter(played, state, takes, short_cut=short_cut):
            state = less
    return state


def shorter(
    played: Played, state: State, takes: Actions, *, short_cut: bool = True
) -> Iterator[State]:
    """States as good as `state`, each by fewer steps than the one before; the last one's path
    cannot spare any one step. As good: at least its score, and over where it is over by the
    environment's own end. `short_cut`: whether steps of other ways may take the place of its own.

    Raises `BudgetSpent` and `AnswersDiffer` as `Played.step`. O(n^2) environment steps for the
    last round over a path of n, each for a way of up to n.
    """
    if short_cut:
        less = _reach(played, _shortest_way(played, state), state, takes)
        if less is not None and less.depth < state.depth:
            yield less
            state = less
    while (less := _shorter_by_one_part(played, state, takes)) is not None:
        yield less
        state = less


def _shortest_way(played: Played, goal: State) -> list[str]:
    """The actions from the start to a state that looks like `goal`, where any state that looks like
    another one may be gone on from as that one was. The fewest; of these what was played first.
    O(states)."""
    onwards: dict[Key, list[tuple[str, Key]]] = {}
    for state in played.states():
        steps = onwards.setdefault(state.key(), [])
        steps += ((action, led_to.key()) for action, led_to in state.known.items())
    start, end = played.root.key(), goal.key()
    came_by: dict[Key, tuple[Key, str] | None] = {start: None}
    waiting = deque([start])
    while waiting and end not in came_by:
        at = waiting.popleft()
        for action, next_key in onwards[at]:
            if next_key not in came_by:
                came_by[next_key] = at, action
                waiting.append(next_key)
    actions: list[str] = []
    while (step := came_by[end]) is not None:
        end, action = step
        actions.append(action)
    return actions[::-1]


def _shorter_by_one_part(played: Played, state: State, takes: Actions) -> State | None:
    actions = state.actions()
    for begin, end in _parts(len(actions)):
        kept = (*actions[:begin], *actions[end:])
        reached = _reach(played, kept, state, takes)
        if reached is not None:
            return reached
    return None


def _parts(num_actions: int) -> Iterator[tuple[int, int]]:
    """[begin, end) of a path's actions: halves, quarters and so on, the last of a size first."""
    size = num_actions // 2
    while size:
        for begin in range(num_actions - size, -1, -size):
            yield begin, begin + size
        size //= 2


def _reach(played: Played, actions: Sequence[str], goal: State, takes: Actions) -> State | None:
    """The state at which the actions, without those that cannot be taken, are as good as `goal`."""
    state = played.root
    if _is_as_good(state, goal):
        return state
    for action in actions:
        if state.is_over:
            return None
        if not takes.may_take(state, action):
            continue
        state = played.step(state, action)
        if _is_as_good(state, goal):
            return state
    return None


def _is_as_good(state: State, goal: State) -> bool:
    return at_least(state.score, goal.score) and (state.is_terminated or not goal.is_terminated)
