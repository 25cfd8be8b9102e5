"""Whatever is wrong with an input: one typed error with the place and the fix, or a count."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.bad_files import BAD_FILES, OPTIONS, ROWS
from support.bad_inputs import LINES, Bad
from support.bad_records import BAD_LINES, BAD_RECORDS

from w2stree.cli.inputs import Source
from w2stree.errors import InvalidInput
from w2stree.formats.reading import read_files
from w2stree.rows.conversations import conversation, preference_row
from w2stree.rows.row_files import Kind, kind_of, read_rows
from w2stree.rows.token_rows import token_row

pytest.importorskip("pyarrow")

BAD = [*BAD_FILES, *BAD_LINES, *BAD_RECORDS]

of_each = pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)


def test_the_table_is_long_enough() -> None:
    assert len({bad.name for bad in BAD}) == len(BAD) >= 80


@of_each
def test_it_is_refused_by_its_place_and_with_what_helps(bad: Bad, tmp_path: Path) -> None:
    path = bad.make(tmp_path)
    with pytest.raises(Exception) as refused:
        list(read_files(path, **choices(bad)).reading.trajectories)
    assert type(refused.value) is bad.kind
    assert str(refused.value).startswith(str(tmp_path))
    assert re.search(bad.told, str(refused.value))


@of_each
def test_or_it_is_left_out_and_counted(bad: Bad, tmp_path: Path) -> None:
    path = bad.make(tmp_path)
    if bad.skipped is None:
        with pytest.raises(bad.kind, match=bad.told):
            read_files(path, on_error="skip", **choices(bad))
        return
    read = read_files(path, on_error="skip", **choices(bad))
    assert (len(list(read.reading.trajectories)), len(read.skipped)) == (bad.used, bad.skipped)
    assert re.search(bad.told, read.skipped[0])
    assert all(reason.startswith(str(tmp_path)) for reason in read.skipped)
    for of_each_run in ("prompt", "reward"):
        counted = sum(read.found.get(of_each_run, {}).values())
        assert counted <= bad.used, "what is left out is not among what was found"


def choices(bad: Bad) -> dict[str, Any]:
    return bad.options


@pytest.mark.parametrize(("options", "kind", "told"), OPTIONS)
def test_options_that_do_not_hold(
    options: dict[str, Any],
    kind: type[Exception],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(LINES)
    with pytest.raises(kind, match=told):
        Source(**{"paths": ["a.jsonl"], **options}).read()


@pytest.mark.parametrize(("name", "content", "told"), ROWS, ids=[name for name, _, _ in ROWS])
def test_rows_that_cannot_be_trained_on(
    name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    pytest.importorskip("datasets")
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"^{re.escape(str(path))}{told}"):
        trained_on(path)


def trained_on(path: Path) -> None:
    """As `w2stree train` reads them, of a tokenizer of nine ids."""
    kind, found = kind_of(path), read_rows(path)
    of_chat = {Kind.PREFERENCES: preference_row, Kind.CONVERSATIONS: conversation}
    for record, place in zip(found.records, found.places, strict=True):
        if kind is Kind.TOKENS:
            token_row(record, place, vocabulary=9)
        else:
            of_chat[kind](record, place)
