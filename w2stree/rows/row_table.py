"""Rows as a table in memory, for whoever writes tables itself.

rows ──shown_rows──> ArrowRows ──batches──> pyarrow.Table, texts as large_string
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.rows.arrow_rows import ArrowRows, arrow
from w2stree.rows.columns import AnyRow, Kind, Shown, Sources
from w2stree.rows.presets import preset_of
from w2stree.rows.shown import shown_rows
from w2stree.trajectories.table_rows import widened


def row_table(
    rows: Iterable[AnyRow],
    kind: Kind,
    *,
    trainer: str,
    tool_calls: bool,
    sources: Sources | None,
    skipped: Counter[str],
) -> Any:
    """The rows in a trainer's columns (`rows.presets`) and those beside them, as `pyarrow.Table`.

    The schema follows from the arguments alone, never from the rows: tables of several shards fit
    together, and one without rows has all columns. `tool_calls` adds what messages with tool calls
    need; `InvalidInput` where a row has some and the columns have not. What the layout cannot hold
    is counted in `skipped`. Memory: the table.
    """
    pa = arrow()
    layout = preset_of(trainer).layout(kind)
    made = ArrowRows(layout.columns(kind), has_tool_calls=tool_calls)
    batches: list[Any] = []
    for shown in shown_rows(rows, kind, layout, sources, skipped):
        if not tool_calls:
            _refuse_tool_calls(shown)
        batches += made.add(shown)
    if (rest := made.take()) is not None:
        batches.append(rest)
    return pa.Table.from_batches(batches, made.schema).cast(widened(pa, made.schema))


def _refuse_tool_calls(shown: Shown) -> None:
    for run in chain.from_iterable(passages.runs for passages in shown.passages):
        if any(step.tool_calls for step in run.steps):
            raise InvalidInput(
                f"task {run.task_id!r}: a run has tool calls, and the table's messages no "
                "columns for them: tool_calls=True adds them, for all shards alike"
            )
