"""What preference pairs say together: pairs that ask one question, and their answer.

at one state     a over b  +0.5  ┐
                 a over b  +0.25 ├─> a against b: net gap +0.25 over 3 pairs, so a is chosen
                 b over a  +0.5  ┘

pairs ──together──> by two actions at a state ──answered──> ──together──> by what is read
        (step)      or each alone (suffix)      decided,      by equal texts, in either
                                                readable      direction; answered again

All is done on columns, a number a pair, in the pairs' order: sums are added one by one in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.forest.pairs import PreferencePairs
from w2stree.rows.run_texts import Ints, RunTexts
from w2stree.trajectories.returns import tolerance
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.pairs import PreferencePair

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Fit(IntEnum):
    """How well a pair can be shown in a row; greater is better."""

    WORDLESS = 0
    """A log kept the actions of its turns and not their words."""
    UNLEARNED = 1
    """A turn that it would show is only to be read (`formats.agenttraj.learned_turns`)."""
    TWO_HISTORIES = 2
    """The environment did not say the same to both before they part: its answers were merged by
    another rule than equality."""
    ONE_HISTORY = 3


@dataclass(frozen=True, slots=True)
class PairColumns:
    """Pairs as columns `[num_pairs]` over distinct runs."""

    runs: list[Trajectory]
    chosen: Ints
    """Indices into `runs`."""
    rejected: Ints
    depth: Ints
    node: Ints
    """A number for each task and divergence."""
    divergence: Ints
    gap: Floats
    total_return: Floats
    """`[num_runs]`"""


class Answers(NamedTuple):
    """Questions and what pairs, or the answers of others, say to each: columns `[num_questions]`,
    in the order in which they were first asked. Side A is the one that its first one prefers."""

    net_gap: Floats
    """> 0 where A is better."""
    num_pairs: Ints
    is_decided: Bools
    shown_a: Ints
    """Of those that prefer A the first of those that fit best; -1 where there is none."""
    shown_b: Ints


class Found(NamedTuple):
    """Rows as columns, and how many questions gave none."""

    shown: Ints
    """The pair that a row shows."""
    net_gap: Floats
    num_pairs: Ints
    returns: list[tuple[list[float], list[float]]]
    """Of the distinct runs of the row's pairs: on the chosen side, on the rejected one."""
    num_undecided: int
    num_alike: int
    num_without_action: int
    num_wordless: int
    num_unlearned: int


def columns_of(pairs: Iterable[PreferencePair]) -> PairColumns:
    """One forest's pairs as they are, others one by one. Runs that are one object are one."""
    if isinstance(pairs, PreferencePairs):
        forest = pairs.forest
        used, inverse = np.unique(
            np.concatenate([pairs.chosen, pairs.rejected]), return_inverse=True
        )
        given = forest.trajectories
        runs, number = _distinct([given[i] for i in used.tolist()])
        chosen, rejected = np.split(number[inverse], 2)
        divergence = pairs.divergence.astype(np.int64)
        depth = forest.depth[pairs.divergence].astype(np.int64)
        node, gap = divergence, pairs.gap
    else:
        each = list(pairs)
        runs, number = _distinct([t for pair in each for t in (pair.chosen, pair.rejected)])
        chosen, rejected = number[::2], number[1::2]
        divergence = np.array([pair.divergence for pair in each], np.int64)
        depth = np.array([pair.depth for pair in each], np.int64)
        known: dict[tuple[str, int], int] = {}
        named = ((pair.task_id, pair.divergence) for pair in each)
        node = np.array([known.setdefault(name, len(known)) for name in named], np.int64)
        gap = np.array([pair.gap for pair in each], np.float64)
    total_return = np.array([run.total_return for run in runs], np.float64)
    return PairColumns(runs, chosen, rejected, depth, node, divergence, gap, total_return)


def _distinct(given: Sequence[Trajectory]) -> tuple[list[Trajectory], Ints]:
    """The runs, each object once, and the number of each given."""
    known: dict[int, int] = {}
    numbers = [known.setdefault(id(run), len(known)) for run in given]
    runs = {id(run): run for run in given}
    return [runs[key] for key in known], np.array(numbers, np.int64)


def compare(pairs: PairColumns, *, is_one_turn: bool) -> Found:
    """The rows that pairs make; see `rows.preference_rows`. `runs` hold the words to be shown."""
    texts = RunTexts(pairs.runs, _num_shown(pairs) if is_one_turn else None)
    sides = _Sides(pairs, texts, is_one_turn=is_one_turn)
    number = len(pairs.gap)
    if is_one_turn:
        question, is_turned = sides.by_actions()
    else:
        question, is_turned = np.arange(number), np.zeros(number, np.bool_)
    size = np.maximum(
        np.abs(pairs.total_return[pairs.chosen]), np.abs(pairs.total_return[pairs.rejected])
    )
    ones = np.ones(number, np.int64)
    every = np.arange(number)
    nothing = np.full(number, -1)
    first = _answer(question, is_turned, pairs.gap, ones, size, every, nothing, sides.fit)

    # The decided ones, best side first, in the order of the first pair that prefers it.
    is_b_better = first.net_gap < 0
    best = np.where(is_b_better, first.shown_b, first.shown_a)
    other = np.where(is_b_better, first.shown_a, first.shown_b)
    place = _first_places(question, is_turned)
    decided = np.flatnonzero(first.is_decided)
    decided = decided[np.argsort(place[decided, is_b_better[decided].astype(int)], kind="stable")]
    shown = best[decided]
    is_wordless = sides.fit[shown] == Fit.WORDLESS
    is_unlearned = sides.fit[shown] == Fit.UNLEARNED
    is_shown = ~is_wordless & ~is_unlearned
    is_alike = is_shown & (sides.turns[0][shown] == sides.turns[1][shown])
    is_untaught = is_shown & ~is_alike & ~sides.is_taught[shown]
    readable = decided[is_shown & ~is_alike & ~is_untaught]

    again, is_again_turned = sides.by_texts(best[readable])
    second = _answer(
        again,
        is_again_turned,
        np.abs(first.net_gap[readable]),
        first.num_pairs[readable],
        _greatest(question, size)[readable],
        best[readable],
        other[readable],
        sides.fit,
    )
    rows = np.flatnonzero(second.is_decided)
    is_b = second.net_gap < 0
    row_of = np.full(len(first.net_gap), -1)
    row_of[readable] = again
    is_flipped = np.zeros(len(first.net_gap), np.bool_)
    is_flipped[readable] = is_b_better[readable] ^ is_again_turned ^ is_b[again]
    return Found(
        np.where(is_b, second.shown_b, second.shown_a)[rows],
        np.abs(second.net_gap[rows]),
        second.num_pairs[rows],
        _returns(pairs, rows, row_of[question], is_turned ^ is_flipped[question]),
        num_undecided=len(first.net_gap) - len(decided) + len(second.net_gap) - len(rows),
        num_alike=int(is_alike.sum()),
        num_without_action=int(is_untaught.sum()),
        num_wordless=int(is_wordless.sum()),
        num_unlearned=int(is_unlearned.sum()),
    )


def _num_shown(pairs: PairColumns) -> Ints:
    """`[num_runs]` each run's steps up to the last turn that is compared."""
    number = np.zeros(len(pairs.runs), np.int64)
    for run in (pairs.chosen, pairs.rejected):
        np.maximum.at(number, run, pairs.depth + 1)
    return number


class _Sides:
    """Both sides of each pair, as numbers: `[0]` of the chosen one, `[1]` of the rejected one."""

    def __init__(self, pairs: PairColumns, texts: RunTexts, *, is_one_turn: bool) -> None:
        self._pairs = pairs
        self._num_texts = texts.num_texts
        both = pairs.chosen, pairs.rejected
        places = [texts.offset[runs] + pairs.depth for runs in both]
        self._state, self._history, self.turns, self._action = (
            [column[place] for place in places]
            for column in (texts.state, texts.history, texts.turns, texts.action)
        )
        ends = [pairs.depth + 1 if is_one_turn else texts.num_steps[runs] for runs in both]
        is_worded = [end <= texts.num_worded[runs] for end, runs in zip(ends, both, strict=True)]
        self.is_one_history: Bools = self._state[0] == self._state[1]
        worded = np.where(self.is_one_history, Fit.ONE_HISTORY, Fit.TWO_HISTORIES)
        is_learned = (
            [texts.is_learned[place] for place in places]
            if is_one_turn
            else [texts.num_until_unlearned[runs] <= pairs.depth for runs in both]
        )
        learned = np.where(is_learned[0] & is_learned[1], worded, Fit.UNLEARNED)
        self.fit: Ints = np.where(is_worded[0] & is_worded[1], learned, Fit.WORDLESS)
        self.is_taught: Bools = (
            self._action[0] != texts.no_action
            if is_one_turn
            else texts.num_until_action[pairs.chosen] > pairs.depth
        )
        """Whether a turn of the chosen side has an action."""

    def by_actions(self) -> tuple[Ints, Bools]:
        """The question of each pair, two actions at a state, and whether it prefers B.

        Trees whose tasks read alike are one tree here: a state is a prompt and the actions and
        answers since; where observations were merged because they are similar, a node.
        """
        _, first, inverse = np.unique(self._pairs.node, return_index=True, return_inverse=True)
        state = self._state[0][first][inverse]
        self._refuse_two_forests(np.flatnonzero(state != self._state[0]), first[inverse])
        chosen, rejected = self._action
        return _grouped(state, chosen, rejected)

    def by_texts(self, shown: Ints) -> tuple[Ints, Bools]:
        """The question of each pair in `shown` to whoever reads it, and whether it prefers B."""
        history = self._history[0][shown]
        theirs = np.where(self.is_one_history[shown], history, self._history[1][shown])
        said = np.concatenate([self.turns[0][shown], self.turns[1][shown]])
        keys = np.concatenate([history, theirs]) * self._num_texts + said
        _, number = np.unique(keys, return_inverse=True)
        chosen, rejected = np.split(number, 2)
        return _grouped(np.zeros(len(shown), np.int64), chosen, rejected)

    def _refuse_two_forests(self, doubtful: Ints, first: Ints) -> None:
        """Raises `InvalidInput` where another forest's pair had this node."""
        for pair in doubtful.tolist():
            if self._history_actions(pair) != self._history_actions(int(first[pair])):
                run = self._pairs.runs[int(self._pairs.chosen[pair])]
                raise InvalidInput(
                    f"task {run.task_id!r}: two pairs name node "
                    f"{int(self._pairs.divergence[pair])} after different actions; pairs of "
                    "several forests are made rows of forest by forest"
                )

    def _history_actions(self, pair: int) -> list[str]:
        run = self._pairs.runs[int(self._pairs.chosen[pair])]
        return [step.action for step in run.steps[: int(self._pairs.depth[pair])]]


def _grouped(place: Ints, chosen: Ints, rejected: Ints) -> tuple[Ints, Bools]:
    """Numbers, by first appearance, for equal places with the same two sides, and whether the sides
    are the other way round than where they first appeared."""
    if not len(place):
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    two = np.minimum(chosen, rejected), np.maximum(chosen, rejected)
    order = np.lexsort((*two, place))  # stable: equal ones in their order
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = np.any([c[order][1:] != c[order][:-1] for c in (*two, place)], axis=0)
    first = order[is_new]
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    group = np.empty(len(order), np.int64)
    group[order] = rank[np.cumsum(is_new) - 1]
    return group, chosen != chosen[np.sort(first)][group]


def _answer(
    question: Ints,
    is_turned: Bools,
    gap: Floats,
    num_pairs: Ints,
    size: Floats,
    shown: Ints,
    other: Ints,
    fit: Ints,
) -> Answers:
    """What all say to each question. `shown` and `other` are the pairs that each shows for the side
    that it prefers and for the other one; `size` the greatest return behind it."""
    if not len(question):
        none = np.empty(0, np.int64)
        return Answers(np.empty(0), none, np.empty(0, np.bool_), none, none)
    net_gap: Floats = np.bincount(question, np.where(is_turned, -gap, gap)).astype(np.float64)
    count = np.bincount(question, num_pairs).astype(np.int64)
    least = tolerance(0.0)
    found = np.abs(net_gap)
    by_rounding = 1e-12 * np.maximum(1000.0, _greatest(question, size))  # `tolerance`
    is_small = (count == 1) | (found <= least)
    return Answers(
        net_gap,
        count,
        np.where(is_small, found > least, found > by_rounding),
        _fittest(question, np.where(is_turned, other, shown), fit, len(net_gap)),
        _fittest(question, np.where(is_turned, shown, other), fit, len(net_gap)),
    )


def _greatest(question: Ints, size: Floats) -> Floats:
    greatest = np.zeros(int(question.max(initial=-1)) + 1)
    np.maximum.at(greatest, question, size)
    return greatest


def _fittest(question: Ints, shown: Ints, fit: Ints, num_questions: int) -> Ints:
    """Of the pairs `shown` for each question the first of those that fit best; -1 for none."""
    found = np.full(num_questions, -1)
    given = np.flatnonzero(shown >= 0)
    order = given[np.lexsort((given, -fit[shown[given]], question[given]))][::-1]
    found[question[order]] = shown[order]  # the last one written is the first
    return found


def _first_places(question: Ints, is_turned: Bools) -> Ints:
    """`[num_questions, 2]` the first pair that prefers A, and B."""
    places = np.zeros((int(question.max(initial=-1)) + 1, 2), np.int64)
    backwards = np.arange(len(question))[::-1]
    places[question[backwards], is_turned[backwards].astype(int)] = backwards
    return places


def _returns(
    pairs: PairColumns, rows: Ints, row_of: Ints, is_flipped: Bools
) -> list[tuple[list[float], list[float]]]:
    """By row, the returns of the distinct runs of its pairs on either side."""
    num_rows = len(rows)
    position = np.full(int(row_of.max(initial=-1)) + 2, -1)
    position[rows] = np.arange(num_rows)
    row = np.where(row_of >= 0, position[row_of], -1)
    kept = np.flatnonzero(row >= 0)
    sides = []
    for one, other in ((pairs.chosen, pairs.rejected), (pairs.rejected, pairs.chosen)):
        run = np.where(is_flipped[kept], other[kept], one[kept])
        keys = _distinct_keys(row[kept] * len(pairs.runs) + run)
        begins = np.searchsorted(keys, np.arange(num_rows + 1) * len(pairs.runs)).tolist()
        of_row = pairs.total_return[keys % len(pairs.runs)].tolist()
        sides.append([of_row[i:j] for i, j in pairwise(begins)])
    return list(zip(*sides, strict=True))


def _distinct_keys(keys: Ints) -> Ints:
    """As `np.unique`, which hashes what here is sorted faster."""
    keys = np.sort(keys)
    is_new = np.ones(len(keys), np.bool_)
    is_new[1:] = keys[1:] != keys[:-1]
    return keys[is_new]
