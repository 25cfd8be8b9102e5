"""Steps that a path can do without: left out one after another, each time played again.

    take cup ─ look ─ take pen ─ put pen in sink ─ put cup in box        0.5
    take cup ────────          ─                 ─ put cup in box        0.5   kept

Left out are the ways between two states that look alike, then runs of steps from half the path
down to single ones. What cannot be taken any more without them goes with them. It is delta
debugging (Zeller & Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) of a
success.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from w2stree.rollouts.recombination.states import Played, State
from w2stree.rollouts.recombination.values import Vocabulary
from w2stree.trajectories.returns import at_least


def shorter(played: Played, state: State, vocabulary: Vocabulary) -> Iterator[State]:
    """States as good as `state`, each by fewer steps than the one before; the last one's path
    cannot spare any one step. As good: at least its score, and over where it is over by the
    environment's own end.

    Raises `BudgetSpent` and `AnswersDiffer` as `Played.step`. O(n^2) environment steps for the
    last round over a path of n, each for a way of up to n.
    """
    while (less := _shorter_by_one_part(played, state, vocabulary)) is not None:
        yield less
        state = less


def _shorter_by_one_part(played: Played, state: State, vocabulary: Vocabulary) -> State | None:
    actions = state.actions()
    for begin, end in _parts(state):
        kept = (*actions[:begin], *actions[end:])
        reached = _reach(played, kept, state, vocabulary)
        if reached is not None:
            return reached
    return None


def _parts(state: State) -> Iterator[tuple[int, int]]:
    """Of the path's actions, [begin, end): loops first, the longest first, then halves, quarters
    and so on, the last of a size first."""
    way = state.way()
    root = way[0].before if way else None
    keys = [state.key() for state in ([root] if root is not None else []) + way]
    loops = [
        (i, j) for i in range(len(keys)) for j in range(i + 1, len(keys)) if keys[i] == keys[j]
    ]
    yield from sorted(loops, key=lambda part: (part[0] - part[1], part))
    size = len(way) // 2
    while size:
        for begin in range(len(way) - size, -1, -size):
            yield begin, begin + size
        size //= 2


def _reach(
    played: Played, actions: Sequence[str], goal: State, vocabulary: Vocabulary
) -> State | None:
    """The state at which the actions, without those that cannot be taken, are as good as `goal`."""
    state = played.root
    if _is_as_good(state, goal):
        return state
    for action in actions:
        if state.is_over:
            return None
        if not vocabulary.may_take(state, action):
            continue
        state = played.step(state, action)
        if _is_as_good(state, goal):
            return state
    return None


def _is_as_good(state: State, goal: State) -> bool:
    return at_least(state.score, goal.score) and (state.is_terminated or not goal.is_terminated)
