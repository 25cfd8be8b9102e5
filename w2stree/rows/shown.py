"""Rows with all that columns may show of them, a block at a time; those that cannot be shown go.

rows ─ 256 at once ─┬─ refused: counted, by reason
                    └─ Shown: rows, passages, sources, numbers, an element a row
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.rows.chat import Passage, Passages, all_turns, history, places, turns
from w2stree.rows.columns import AnyRow, Kind, Shown, Sources, TokenRow, kind_of
from w2stree.rows.credit import RunCredit, TurnCredit
from w2stree.rows.judged import JudgedRow, passages
from w2stree.rows.once import OncePerRun
from w2stree.rows.presets import KINDS, Layout
from w2stree.rows.questions import QuestionRow
from w2stree.rows.rows import WORDLESS, PreferenceRow
from w2stree.rows.worded import require_prompt
from w2stree.trajectories.trajectory import Trajectory

WORDLESS_ROW = f"without words: {WORDLESS}"
_TWO_HISTORIES = "of two histories, where there is one prompt"

_AT_ONCE = 256  # rows: token ids are lists, of many objects


def shown_rows(
    rows: Iterable[AnyRow],
    kind: Kind,
    layout: Layout,
    sources: Sources | None,
    skipped: Counter[str],
) -> Iterator[Shown]:
    """Those that the layout can hold; of the others the reason is counted in `skipped`.

    Raises `InvalidInput` for a row of another kind, and for a run without a prompt.
    """
    source_of = OncePerRun(sources or _origin)
    pending = iter(rows)
    begin = 0
    while block := list(islice(pending, _AT_ONCE)):
        _refuse_other_kinds(block, begin, kind)
        numbers = list(range(begin, begin + len(block)))
        begin += len(block)
        reasons = _reasons(block, kind, layout)
        if any(reasons):
            skipped.update(filter(None, reasons))
            numbers = [i for i, reason in zip(numbers, reasons, strict=True) if not reason]
            block = [row for row, reason in zip(block, reasons, strict=True) if not reason]
        if block:
            yield _shown(block, numbers, source_of)


def _refuse_other_kinds(block: Sequence[AnyRow], begin: int, kind: Kind) -> None:
    if kind == "preference" and set(map(type, block)) == {PreferenceRow}:
        return
    for i, row in enumerate(block, begin):
        if kind_of(row) != kind:
            raise InvalidInput(
                f"rows[{i}] is {type(row).__name__}, and the first one is of {KINDS[kind]}; write "
                "rows of one kind"
            )


def _shown(block: list[Any], numbers: list[int], source_of: Sources) -> Shown:
    ids = [row.ids for row in block if isinstance(row, TokenRow)]
    rows = [row.row for row in block] if ids else block
    passages = _columns(rows)
    of_two = isinstance(rows[0], PreferenceRow)
    runs = [passage.runs for passage in (passages[1:] if of_two else passages[:1])]
    sources = list(map(list, zip(*(map(source_of, of) for of in runs), strict=True)))
    return Shown(rows, passages, sources, numbers, ids)


def _columns(rows: list[Any]) -> tuple[Passages, ...]:
    """The passages of rows of one kind."""
    if not isinstance(rows[0], PreferenceRow):
        by_row = map(_passages, rows)
        return tuple(
            Passages(*map(list, zip(*of, strict=True))) for of in zip(*by_row, strict=True)
        )
    chosen = [row.chosen for row in rows]
    for run in chosen:
        require_prompt(run)
    at = OncePerRun(places)
    prompt_ends = [at(run)[row.begin] for run, row in zip(chosen, rows, strict=True)]
    prompt = Passages(chosen, [0] * len(rows), prompt_ends)
    return prompt, _side(rows, chosen, at), _side(rows, [row.rejected for row in rows], at)


def _side(
    rows: list[PreferenceRow], runs: list[Trajectory], at: OncePerRun[Sequence[int]]
) -> Passages:
    """As `chat.turns`."""
    begins, ends = [], []
    for row, run in zip(rows, runs, strict=True):
        turns_at = at(run)
        begins.append(turns_at[row.begin])
        ends.append(turns_at[(len(run.steps) if row.end is None else row.end) - 1] + 1)
    return Passages(runs, begins, ends)


def _reasons(block: Sequence[AnyRow], kind: Kind, layout: Layout) -> list[str | None]:
    """By row, as `_reason`: most tables are of preferences."""
    if kind != "preference" or layout.is_choosy:
        return [_reason(row, layout) for row in block]
    rows: Sequence[Any] = block
    return [None if row.is_one_history else _TWO_HISTORIES for row in rows]


def _reason(row: AnyRow, layout: Layout) -> str | None:
    """Why the layout cannot hold the row; None where it can."""
    if isinstance(row, TokenRow):
        return None
    reason = _unfit(row)
    if reason is None and layout.is_choosy:
        return layout.refuses(_passages(row))
    return reason


def _unfit(row: AnyRow) -> str | None:
    """Why it is no conversation."""
    if isinstance(row, PreferenceRow):
        return None if row.is_one_history else _TWO_HISTORIES
    if isinstance(row, Trajectory):
        if row.status == "error":
            return "that ended in an error, which says nothing about its task"
        if not row.steps:
            return "without a turn"
    if isinstance(row, TurnCredit):
        is_worded = all(step.is_worded for step in row.run.steps[: row.step + 1])
        return None if is_worded else WORDLESS_ROW
    if isinstance(row, Trajectory | JudgedRow):
        run = row if isinstance(row, Trajectory) else row.run
        if not all(step.is_worded for step in run.steps):
            return WORDLESS_ROW
    return None


def _passages(row: AnyRow | RunCredit) -> tuple[Passage, ...]:
    if isinstance(row, PreferenceRow):
        prompt = history(row.chosen, row.begin)
        sides = (turns(run, row.begin, row.end) for run in (row.chosen, row.rejected))
        return prompt, *sides
    if isinstance(row, JudgedRow):
        return passages(row)
    if isinstance(row, QuestionRow):
        return (history(row.run, 0),)
    if isinstance(row, TurnCredit):
        return history(row.run, row.step), turns(row.run, row.step, row.step + 1)
    run = row.run if isinstance(row, RunCredit) else row
    assert isinstance(run, Trajectory)
    return (all_turns(run),)


def _origin(run: Trajectory) -> str:
    """What the run itself says of where it comes from."""
    origin = run.origin
    known = {
        "seed": origin.seed,
        "sample": origin.sample_index,
        "attempt": origin.attempt or None,
        "policy": origin.policy,
    }
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
