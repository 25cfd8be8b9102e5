"""`preference_rows` said with objects, one pair at a time: what the columns must come to.

at one state     a over b  +0.5  ┐
                 a over b  +0.25 ├─> a against b: net gap +0.25 over 3 pairs, so a is chosen
                 b over a  +0.5  ┘
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from w2stree.errors import InvalidInput
from w2stree.rows.rows import Completion, PreferenceRow, PreferenceRows, is_taught
from w2stree.rows.worded import rendered, require_prompt
from w2stree.trajectories.returns import tolerance
from w2stree.trajectories.trajectory import Step, Trajectory

if TYPE_CHECKING:
    from w2stree.forest.pairs import PreferencePair


class Side(NamedTuple):
    """One side of a pair as a row shows it. Equal texts have equal numbers."""

    trajectory: Trajectory
    action: str
    """The first one compared."""
    state: int
    """Of the prompt, and actions and answers before."""
    history: int
    """Of the prompt, and all that was said before."""
    turns: int
    """Of what is compared; the last answer is in no row."""
    is_worded: bool
    """Whether all these turns hold the agent's words."""


class Sides:
    """The sides of a forest's pairs, each made once. A side compares `num_turns`, None: all."""

    def __init__(self, *, num_turns: int | None, render_actions: bool) -> None:
        self._num_turns = num_turns
        self._render_actions = render_actions
        self._runs: dict[int, _Run] = {}
        self._sides: dict[tuple[int, int], Side] = {}
        self._numbers: dict[Hashable, int] = {}

    def of(self, trajectory: Trajectory, depth: int) -> Side:
        """From turn `depth` on. Raises `InvalidInput` where the trajectory has no prompt."""
        key = (id(trajectory), depth)
        side = self._sides.get(key)
        if side is None:
            side = self._sides[key] = self._make(trajectory, depth)
        return side

    def _make(self, given: Trajectory, depth: int) -> Side:
        run = self._runs.get(id(given))
        if run is None:
            run = self._runs[id(given)] = self._read(given)
        steps, until = run.trajectory.steps, 2 * depth
        end = len(steps) if self._num_turns is None else depth + self._num_turns
        return Side(
            run.trajectory,
            steps[depth].action,
            state=self._number(("state", run.prompt, run.did[:until])),
            history=self._number(("history", run.prompt, run.said[:until])),
            turns=self._number(("turns", run.said[until : 2 * end - 1])),
            is_worded=end <= run.num_worded,
        )

    def _read(self, given: Trajectory) -> _Run:
        require_prompt(given)
        trajectory = rendered(given) if self._render_actions else given
        steps = trajectory.steps
        return _Run(
            given,
            trajectory,
            self._number(("prompt", tuple(given.prompt))),
            tuple(text for s in steps for text in (_turn(s), s.observation)),
            tuple(text for s in steps for text in (s.action, s.observation)),
            next((i for i, s in enumerate(steps) if not s.is_worded), len(steps)),
        )

    def _number(self, what: Hashable) -> int:
        return self._numbers.setdefault(what, len(self._numbers))


class _Run(NamedTuple):
    """A trajectory's texts, laid out so that a slice is a history or a continuation."""

    given: Trajectory  # held, so that its id stays its own
    trajectory: Trajectory
    prompt: int
    said: tuple[str, ...]
    """turn 1, answer 1, turn 2, …"""
    did: tuple[str, ...]
    """action 1, answer 1, action 2, …"""
    num_worded: int
    """Its first steps that hold the agent's words."""


def _turn(step: Step) -> str:
    """A text that is equal for equal turns."""
    if step.tool_calls:
        return f"{step.response}\n{step.action}"
    return step.response or step.action


class Fit(IntEnum):
    """How well a pair can be shown in a row; greater is better."""

    WORDLESS = 0
    """A log kept the actions of its turns and not their words."""
    TWO_HISTORIES = 1
    """The environment did not say the same to both before they part: its answers were merged by
    another rule than equality."""
    ONE_HISTORY = 2


class Shown(NamedTuple):
    """The pair whose texts stand for all that prefer its chosen side."""

    place: int
    """Of the first of them, among all pairs."""
    pair: PreferencePair
    chosen: Side
    rejected: Side

    @property
    def fit(self) -> Fit:
        if not (self.chosen.is_worded and self.rejected.is_worded):
            return Fit.WORDLESS
        return Fit.ONE_HISTORY if self.chosen.state == self.rejected.state else Fit.TWO_HISTORIES

    def texts(self) -> Texts:
        """Those of its row; one history is shown as the chosen side's."""
        history = self.chosen.history
        theirs = history if self.chosen.state == self.rejected.state else self.rejected.history
        return history, self.chosen.turns, theirs, self.rejected.turns


Texts = tuple[int, int, int, int]
"""All that a row says: history and turns of the chosen side, then of the rejected one."""


Runs = dict[int, Trajectory]
"""Distinct trajectories, by id."""


class Comparison:
    """Two sides, A and B, and what all pairs about them say; the first pair prefers A."""

    __slots__ = ("_runs", "net_gap", "num_pairs", "shown_a", "shown_b")

    def __init__(self, first: Shown) -> None:
        self.net_gap = first.pair.gap
        """Sum of gaps, those of pairs that prefer B negative."""
        self.num_pairs = 1
        self.shown_a: Shown | None = first
        """Of the pairs that prefer A the first of those that fit best; `shown_b` likewise."""
        self.shown_b: Shown | None = None
        self._runs: tuple[Runs, Runs] | None = None  # one pair's are made when asked for

    @property
    def runs(self) -> tuple[Runs, Runs]:
        """The distinct trajectories in its pairs: A's, B's."""
        if self._runs is not None:
            return self._runs
        _, pair, _, _ = self.best
        one, other = {id(pair.chosen): pair.chosen}, {id(pair.rejected): pair.rejected}
        return (one, other) if self.net_gap > 0 else (other, one)

    def add(self, pair: Shown, *, is_turned: bool) -> None:
        """One more pair; it prefers A, or B where it `is_turned`."""
        self._runs = self.runs
        chosen, rejected = pair.pair.chosen, pair.pair.rejected
        self._runs[is_turned][id(chosen)] = chosen
        self._runs[not is_turned][id(rejected)] = rejected
        self.num_pairs += 1
        if is_turned:
            self.net_gap -= pair.pair.gap
            self.shown_b = _fitter(self.shown_b, pair)
        else:
            self.net_gap += pair.pair.gap
            self.shown_a = _fitter(self.shown_a, pair)

    def absorb(self, other: Comparison, *, is_turned: bool = False) -> None:
        """Another comparison of the same sides; where it `is_turned`, its A is B here."""
        if is_turned:
            other.turn()
        self._runs = self.runs
        for own, theirs in zip(self._runs, other.runs, strict=True):
            own.update(theirs)
        self.net_gap += other.net_gap
        self.num_pairs += other.num_pairs
        self.shown_a = _fitter(self.shown_a, other.shown_a)
        self.shown_b = _fitter(self.shown_b, other.shown_b)

    def turn(self) -> None:
        """Let A be B."""
        self.net_gap = -self.net_gap
        self.shown_a, self.shown_b = self.shown_b, self.shown_a
        if self._runs is not None:
            self._runs = self._runs[::-1]

    @property
    def is_decided(self) -> bool:
        """Whether one side is better: net gaps of zero, but for rounding (`trajectories.returns`),
        say nothing."""
        size = abs(self.net_gap)
        if self.num_pairs == 1 or size <= tolerance(0.0):
            return size > tolerance(0.0)
        return size > tolerance(max(abs(t.total_return) for r in self.runs for t in r.values()))

    @property
    def best(self) -> Shown:
        """The pair shown for the better side, of a decided comparison."""
        shown = self.shown_a if self.net_gap > 0 else self.shown_b
        assert shown is not None, "a net gap is made by pairs of its sign"
        return shown


def _fitter(one: Shown | None, later: Shown | None) -> Shown | None:
    if one is None or later is None:
        return one or later
    if one.fit is Fit.ONE_HISTORY or later.fit <= one.fit:
        return one
    return later._replace(place=one.place)


def compared_suffixes(pairs: Iterable[PreferencePair], sides: Sides) -> Iterator[Comparison]:
    """Each pair alone: it compares two continuations."""
    for place, pair in enumerate(pairs):
        chosen, rejected = sides.of(pair.chosen, pair.depth), sides.of(pair.rejected, pair.depth)
        yield Comparison(Shown(place, pair, chosen, rejected))


def compared_steps(pairs: Iterable[PreferencePair], sides: Sides) -> list[Comparison]:
    """Two actions at a state, by all pairs that took one there and the other.

    Trees whose tasks read alike are one tree here: a state is a prompt and the actions and
    answers since; where observations were merged because they are similar, a node. Ordered by
    the first pair that prefers the better side; undecided ones come first.
    """
    nodes = _Nodes()
    comparisons: dict[tuple[int, str, str], Comparison] = {}
    for place, pair in enumerate(pairs):
        chosen, rejected = sides.of(pair.chosen, pair.depth), sides.of(pair.rejected, pair.depth)
        shown, state = Shown(place, pair, chosen, rejected), nodes.state(pair, chosen)
        if known := comparisons.get((state, chosen.action, rejected.action)):
            known.add(shown, is_turned=False)
        elif known := comparisons.get((state, rejected.action, chosen.action)):
            known.add(shown, is_turned=True)
        else:
            comparisons[state, chosen.action, rejected.action] = Comparison(shown)
    return sorted(comparisons.values(), key=lambda c: c.best.place if c.is_decided else -1)


class _Nodes:
    """The state that each node stands for: that of the first pair seen there."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int], tuple[int, PreferencePair]] = {}

    def state(self, pair: PreferencePair, chosen: Side) -> int:
        """Raises `InvalidInput` where another forest's pair had this node."""
        key = (pair.task_id, pair.divergence)
        state, first = self._first.setdefault(key, (chosen.state, pair))
        if state != chosen.state and _history_actions(first) != _history_actions(pair):
            raise InvalidInput(
                f"task {pair.task_id!r}: two pairs name node {pair.divergence} after different "
                "actions; pairs of several forests are made rows of forest by forest"
            )
        return state


def _history_actions(pair: PreferencePair) -> list[str]:
    return [step.action for step in pair.chosen.steps[: pair.depth]]


def oracle_rows(
    pairs: Iterable[PreferencePair], completion: Completion, *, render_actions: bool = False
) -> PreferenceRows:
    num_turns = 1 if completion == "step" else None
    sides = Sides(num_turns=num_turns, render_actions=render_actions)
    compared = (compared_steps if completion == "step" else compared_suffixes)(pairs, sides)
    num_undecided = num_alike = num_without_action = num_wordless = 0
    found: dict[Texts, Comparison] = {}
    for comparison in compared:
        if not comparison.is_decided:
            num_undecided += 1
            continue
        if comparison.net_gap < 0:
            comparison.turn()
        shown = comparison.best
        if shown.fit is Fit.WORDLESS:
            num_wordless += 1
        elif shown.chosen.turns == shown.rejected.turns:
            num_alike += 1
        elif not any(map(is_taught, _turns(shown, num_turns))):
            num_without_action += 1
        else:
            texts = shown.texts()
            if (same := found.get(texts)) is not None:
                same.absorb(comparison)
            elif (same := found.get(texts[2:] + texts[:2])) is not None:
                same.absorb(comparison, is_turned=True)
            else:
                found[texts] = comparison
    rows = tuple(_row(c, num_turns) for c in found.values() if c.is_decided)
    return PreferenceRows(
        rows,
        num_undecided=num_undecided + len(found) - len(rows),
        num_alike=num_alike,
        num_without_action=num_without_action,
        num_wordless=num_wordless,
    )


def _turns(shown: Shown, num_turns: int | None) -> Sequence[Step]:
    """Those of the chosen side that a row compares."""
    begin = shown.pair.depth
    end = None if num_turns is None else begin + num_turns
    return shown.chosen.trajectory.steps[begin:end]


def _row(comparison: Comparison, num_turns: int | None) -> PreferenceRow:
    if comparison.net_gap < 0:
        comparison.turn()
    shown = comparison.best
    chosen, rejected = comparison.runs
    begin = shown.pair.depth
    return PreferenceRow(
        shown.chosen.trajectory,
        shown.rejected.trajectory,
        begin,
        None if num_turns is None else begin + num_turns,
        shown.pair.divergence,
        comparison.net_gap / comparison.num_pairs,
        _mean_return(chosen.values()),
        _mean_return(rejected.values()),
        len(chosen),
        len(rejected),
    )


def _mean_return(trajectories: Collection[Trajectory]) -> float:
    if len(trajectories) == 1:
        return next(iter(trajectories)).total_return
    return math.fsum([t.total_return for t in trajectories]) / len(trajectories)
