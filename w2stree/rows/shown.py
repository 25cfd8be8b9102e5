"""Each row that a trainer's layout can show, with what its columns show of it; the others counted.

rows ──> of one kind? ──> Shown(row, passages, source, number, ids)
          └ refused: counted, by reason
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from w2stree.errors import InvalidInput
from w2stree.rows.chat import Passage, history, turns
from w2stree.rows.columns import AnyRow, Ids, Kind, Shown, Sources, TokenRow, kind_of, runs_of
from w2stree.rows.credit import RunCredit, TurnCredit
from w2stree.rows.judged import JudgedRow, passages
from w2stree.rows.once import OncePerRun
from w2stree.rows.presets import KINDS, Layout
from w2stree.rows.questions import QuestionRow
from w2stree.rows.rows import WORDLESS, PreferenceRow
from w2stree.trajectories.trajectory import Trajectory

WORDLESS_ROW = f"without words: {WORDLESS}"

_NO_IDS: Ids = {}


def shown_rows(
    rows: Iterable[AnyRow],
    kind: Kind,
    layout: Layout,
    sources: Sources | None,
    skipped: Counter[str],
) -> Iterator[Shown]:
    """Each row that the layout can hold; the others are counted in `skipped`, by reason. Raises
    `InvalidInput` for a row of another kind."""
    source_of = OncePerRun(sources or _origin)
    is_choosy = layout.is_choosy
    for i, row in enumerate(rows):
        if kind_of(row) != kind:
            raise InvalidInput(
                f"rows[{i}] is {type(row).__name__}, and the first one is of {KINDS[kind]}; write "
                "rows of one kind"
            )
        of, ids = (row.row, row.ids) if isinstance(row, TokenRow) else (row, _NO_IDS)
        runs = runs_of(of)
        if (reason := None if ids else _unfit(of)) is None:
            shown = Shown(of, _passages(of), list(map(source_of, runs)), i, ids)
            reason = layout.refuses(shown) if is_choosy else None
        if reason is None:
            yield shown
        else:
            skipped[reason] += 1


def _unfit(row: AnyRow | RunCredit) -> str | None:
    """Why it is no conversation."""
    if isinstance(row, PreferenceRow):
        return None if row.is_one_history else "of two histories, where there is one prompt"
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
        chosen, begin, end = row.chosen, row.begin, row.end
        prompt = history(chosen, begin)
        return prompt, turns(chosen, begin, end), turns(row.rejected, begin, end)
    if isinstance(row, JudgedRow):
        return passages(row)
    if isinstance(row, QuestionRow):
        return (history(row.run, 0),)
    if isinstance(row, TurnCredit):
        return history(row.run, row.step), turns(row.run, row.step, row.step + 1)
    run = row.run if isinstance(row, RunCredit) else row
    assert isinstance(run, Trajectory)
    return (history(run, len(run.steps))._replace(end=len(run.prompt) + 2 * len(run.steps) - 1),)


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
