"""Lines that were cut: each told by its place, at a cost that grows with the file and no faster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from w2stree.formats.reading import read_files
from w2stree.trajectories import json_lines

RECORD = {
    "task_id": "t",
    "prompt": [{"role": "user", "content": "Go."}],
    "steps": [{"action": "a", "observation": "b", "response": "c"}],
    "total_return": 1.0,
    "status": "done",
}


@pytest.mark.parametrize("end", ["[", ":"])
def test_thousands_of_cut_lines_are_looked_at_a_few_times_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Each seems to go on in all that follow: `{"steps":[⏎{"steps":[⏎{"steps":[⏎…`."""
    line = json.dumps(RECORD)
    cut = line[: line.index(end) + 1]
    num_cut = 3000
    file = tmp_path / "runs.jsonl"
    file.write_text("\n".join([line, *[cut] * num_cut, line]) + "\n")
    num_bytes = 0
    is_cut = json_lines.is_cut

    def counting(data: bytes) -> bool:
        nonlocal num_bytes
        num_bytes += len(data)
        return is_cut(data)

    monkeypatch.setattr(json_lines, "is_cut", counting)
    read = read_files(file, on_error="skip")
    assert (len(read.reading.trajectories), len(read.skipped)) == (2, num_cut)
    told = sum("the line is the beginning of a record and no more" in s for s in read.skipped)
    assert told >= num_cut - 10, "but for the last ones, after which the file may have been cut"
    assert num_bytes < 60 * file.stat().st_size


def test_a_record_over_many_lines_is_still_told_after_cut_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as not too many lines were looked through in vain; spread ones are not in vain."""
    monkeypatch.setattr(json_lines, "_IN_VAIN", 30)
    long: dict[str, Any] = {**RECORD, "info": {str(i): i for i in range(20)}}
    spread = json.dumps(long, indent=1)
    line = json.dumps(RECORD)
    file = tmp_path / "runs.jsonl"
    file.write_text("\n".join([line, line[:20], *[spread] * 5, line]) + "\n")
    read = read_files(file, on_error="skip")
    assert (len(read.reading.trajectories), len(read.skipped)) == (2, 6)
    assert sum("one JSON object spread over" in told for told in read.skipped) == 5
