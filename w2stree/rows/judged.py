"""Unpaired rows: one turn or one run each, and whether it is wanted (KTO).

pairs   a over b, a over c, b over c     a: wanted   c: not   b: by the sum of what it won, lost
runs    return at least a threshold      wanted, or not: all may have failed
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from w2stree.rows.chat import Passage, history, turns
from w2stree.rows.rows import PreferenceRow
from w2stree.trajectories.returns import ReturnRange, at_least, threshold_in, tolerance
from w2stree.trajectories.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """Turns [begin, end) of a run after what went before them, and the verdict on them."""

    run: Trajectory
    begin: int
    end: int | None
    is_wanted: bool
    gap: float
    """By how much it won or lost, >= 0: mean over the rows it is in; of a run, its return's
    distance from the threshold."""
    mean_return: float
    """Over the `num_runs` behind it."""
    num_runs: int


@dataclass(slots=True)
class _Score:
    """What preference rows say of one side."""

    row: PreferenceRow
    run: Trajectory
    mean_return: float
    num_runs: int
    net: float = 0.0
    num_rows: int = 0


@dataclass(frozen=True, slots=True)
class JudgedRows(Sequence[JudgedRow]):
    """The rows, and how many sides gave none."""

    rows: tuple[JudgedRow, ...]
    num_undecided: int
    """Sides that won as much as they lost."""
    num_two_histories: int
    """Of preference rows whose sides were told different things."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as of a tuple
        return self.rows[index]

    def __iter__(self) -> Iterator[JudgedRow]:
        return iter(self.rows)


def judged_sides(rows: Iterable[PreferenceRow]) -> JudgedRows:
    """Each distinct side of preference rows once, in order of first appearance.

    What a side won as the chosen one and lost as the rejected one is summed, gap by gap, over all
    rows of its state; the sign is the verdict. Of two wordings of a turn the sides are two. A
    sum of zero (but for rounding) gives no row. O(rows), and their texts hashed.
    """
    found: dict[tuple[object, ...], _Score] = {}
    num_two = 0
    for row in rows:
        if not row.is_one_history:
            num_two += 1
            continue
        state = tuple((s.action, s.observation) for s in row.history)
        for run, gap, mean, num in (
            (row.chosen, row.gap, row.chosen_return, row.num_chosen),
            (row.rejected, -row.gap, row.rejected_return, row.num_rejected),
        ):
            said = tuple((s.response, s.action, s.observation) for s in row.turns(run))
            key = (run.prompt, state, (*said[:-1], said[-1][:2]))
            score = found.setdefault(key, _Score(row, run, mean, num))
            score.net += gap
            score.num_rows += 1
    judged = tuple(
        JudgedRow(
            s.run,
            s.row.begin,
            s.row.end,
            s.net > 0,
            abs(s.net) / s.num_rows,
            s.mean_return,
            s.num_runs,
        )
        for s in found.values()
        if abs(s.net) > tolerance(s.mean_return)
    )
    return JudgedRows(judged, len(found) - len(judged), num_two)


def judged_runs(
    trajectories: Iterable[Trajectory],
    *,
    success_threshold: float = 1.0,
    return_range: ReturnRange | None = None,
) -> Iterator[JudgedRow]:
    """Each run whole, wanted where its return is at least the threshold, a share of `return_range`
    ([0, 1] unless stated). Runs of status "error" say nothing and give none, nor do empty ones."""
    threshold = threshold_in(return_range, success_threshold)
    for run in trajectories:
        if run.status != "error" and run.steps:
            is_wanted = at_least(run.total_return, threshold)
            gap = abs(run.total_return - threshold)
            yield JudgedRow(run, 0, None, is_wanted, gap, run.total_return, 1)


def passages(row: JudgedRow) -> tuple[Passage, Passage]:
    """What a row asks with, and what it judges. The history is the judged run's own."""
    return history(row.run, row.begin), turns(row.run, row.begin, row.end)
