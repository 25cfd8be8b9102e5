"""Rows a block at a time, as lines and as batches: each says what its record says."""

from __future__ import annotations

from operator import attrgetter
from random import Random
from typing import Any

import msgspec
import pytest
from support.hall_runs import CALLS, RUNS, preferences, without_none

from w2stree.rows import arrow_rows, json_rows
from w2stree.rows.arrow_rows import ArrowRows
from w2stree.rows.chat import Passages, chat_of, history, turns
from w2stree.rows.columns import Shown
from w2stree.rows.json_rows import JsonRows
from w2stree.rows.presets import PRESETS

SIDES = ("prompt", "chosen", "rejected")


def passages_in_any_order(completion: Any) -> Shown:
    """Rows whose runs are asked for deep and shallow, often and once."""
    rows = preferences([*RUNS, *CALLS], completion)
    random = Random(0)
    shown = [random.choice(rows) for _ in range(60)]
    prompts = [history(row.chosen, random.randrange(row.begin + 1)) for row in shown]
    sides = (
        [turns(run(row), row.begin, row.end) for row in shown]
        for run in (attrgetter("chosen"), attrgetter("rejected"))
    )
    passages = (Passages(*map(list, zip(*side, strict=True))) for side in (prompts, *sides))
    sources = [["here:1", f"there:{i}"] for i in range(60)]
    return Shown(shown, tuple(passages), sources, list(range(60)), [])


def records_of(shown: Shown) -> list[dict[str, Any]]:
    """What each row says, found without what writes rows."""
    columns = PRESETS["trl"].layout("preference").columns("preference")
    found = [
        {
            name: chat_of(passages.runs[i])[passages.begins[i] : passages.ends[i]]
            for name, passages in zip(SIDES, shown.passages, strict=True)
        }
        for i in range(len(shown.rows))
    ]
    for column in columns:
        if column.name not in SIDES:
            for record, value in zip(found, column.get(shown), strict=True):
                record[column.name] = value
    return found


@pytest.mark.parametrize("completion", ["step", "suffix"])
def test_a_line_is_byte_for_byte_what_its_record_encodes_to(completion: Any) -> None:
    rows = JsonRows(PRESETS["trl"].layout("preference").columns("preference"))
    shown = passages_in_any_order(completion)
    lines = rows.lines(shown).splitlines(keepends=True)
    assert lines == [msgspec.json.encode(record) + b"\n" for record in records_of(shown)]
    assert rows.lines(shown.select([3, 1])) == lines[3] + lines[1]


def test_lines_whose_messages_are_too_much_to_keep_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = passages_in_any_order("suffix")
    columns = PRESETS["trl"].layout("preference").columns("preference")
    lines = JsonRows(columns).lines(shown)
    monkeypatch.setattr(json_rows, "_KEPT_BYTES", 0)
    rows = JsonRows(columns)
    assert rows.lines(shown) == rows.lines(shown) == lines


@pytest.mark.parametrize("size", [1, 900, 1 << 20])
@pytest.mark.parametrize("is_encoded", [False, True])
@pytest.mark.parametrize("completion", ["step", "suffix"])
def test_batches_say_what_their_records_say(
    monkeypatch: pytest.MonkeyPatch, completion: Any, is_encoded: bool, size: int
) -> None:
    """A batch ends with the row that fills it."""
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(arrow_rows, "_BATCH_SIZE", size)
    columns = PRESETS["trl"].layout("preference").columns("preference")
    rows = ArrowRows(columns, has_tool_calls=True, is_encoded=is_encoded)
    shown = passages_in_any_order(completion)
    batches = [*rows.add(shown), *rows.add(shown.select([5, 2]))]
    if (rest := rows.take()) is not None:
        batches.append(rest)
    assert len(batches) > 1 if size < 1000 else len(batches) == 1
    if size == 1:
        assert {batch.num_rows for batch in batches} == {1}
    found = [record for batch in batches for record in batch.to_pylist()]
    given = records_of(shown)
    for record, expected in zip(found, [*given, given[5], given[2]], strict=True):
        for name in SIDES:
            assert without_none(record[name]) == without_none(expected[name])
        plain = record.keys() - set(SIDES)
        assert {name: record[name] for name in plain} == {name: expected[name] for name in plain}
    assert rows.take() is None
