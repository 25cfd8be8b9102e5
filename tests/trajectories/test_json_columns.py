"""Lines read into columns by the core: what Python reads of them line by line, or not at all."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.any_records import RECORDS, forest_or_refusal
from support.strategies import PROMPT, episode, trajectory_lists

import w2stree as w2s
from w2stree.errors import InvalidInput
from w2stree.trajectories import files, lines
from w2stree.trajectories.files import Reading, read_files, write_trajectories
from w2stree.trajectories.json_columns import read_columns
from w2stree.trajectories.records import Records
from w2stree.trajectories.repeats import Repeats
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Trajectory

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories",
                                        "ignore::w2stree.errors.TurnsWithoutAction",
                                        "ignore::w2stree.errors.RepeatedTrajectories")  # fmt: skip


def no_columns(*_: object) -> None:
    return None


def line_by_line(path: Path) -> Reading:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "read_columns", no_columns)
        return read_files(path)


def account(reading: Reading) -> tuple[Any, ...]:
    values = {name: getattr(reading, name) for name in Reading.__dataclass_fields__}
    return tuple((values | {"places": list(reading.places)}).values())


def exactly(trajectories: Sequence[Trajectory]) -> list[str]:
    """Also apart where values are equal and no text: 1 and 1.0, 0.0 and -0.0."""
    return [repr(t) for t in trajectories]


def check_equal_by_both_roads(data: bytes) -> bool:
    """Whether the fast road was taken."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(data)
        fast = read_columns([path], Repeats())
        if fast is None:
            return False
        slow = line_by_line(path)
        reading = read_files(path)
        assert type(reading.trajectories) is Records and type(slow.trajectories) is list
        assert account(reading) == account(slow)
        assert exactly(reading.trajectories) == exactly(slow.trajectories)
        assert forest_or_refusal(reading.trajectories) == forest_or_refusal(slow.trajectories)
        return True


def is_usual(record: dict[str, Any]) -> bool:
    """No fraction in a call's arguments, which are JSON, and no origin that may be in `info`."""
    calls = [c for step in record["steps"] for c in step.get("tool_calls", ())]
    is_plain = not any(
        set("._-eE\x7f") & set(c["arguments"])
        or "\\u" in c["arguments"]
        or isinstance(ToolCall("f", c["arguments"]).arguments_given(), str)
        for c in calls
    )
    return is_plain and "policy" not in (record.get("info") or {})


@given(st.lists(RECORDS, max_size=4), st.booleans(), st.sampled_from([None, (",", ":")]))
def test_records_of_any_content_are_read_alike(
    records: list[dict[str, Any]], is_ascii: bool, separators: tuple[str, str] | None
) -> None:
    text = "".join(
        json.dumps(record, ensure_ascii=is_ascii, separators=separators) + "\n"
        for record in records
    )
    was_fast = check_equal_by_both_roads(text.encode())
    assert was_fast or not all(map(is_usual, records))


@settings(max_examples=300)
@given(
    st.lists(RECORDS, min_size=1, max_size=2),
    st.lists(
        st.tuples(
            st.integers(0, 10_000),
            st.integers(0, 4),
            st.sampled_from(
                ['"', "{", "}", "[", "]", ",", ":", "\\", "null", "true", "NaN", "1e999", "-0",
                 '"action":"x",', '"seed":1,', '"info":{"a":1,"a":2},', "\\ud800", "\n", "\r",
                 " ", "\0", "\ufeff", "\x0b", "1" * 25, '"task_id":"a",', '"more":1,', "0.0"]
            ),
        ),
        min_size=1,
        max_size=2,
    ),
)  # fmt: skip
def test_damage_is_seen_or_does_no_harm(
    records: list[dict[str, Any]], damage: list[tuple[int, int, str]]
) -> None:
    text = "".join(json.dumps(record) + "\n" for record in records)
    for place, size, written in damage:
        begin = place % len(text)
        text = text[:begin] + written + text[begin + size :]
    check_equal_by_both_roads(text.encode())


USUAL = json.loads(episode("ab", 1.0).to_json())


def with_step(**fields: Any) -> dict[str, Any]:
    return USUAL | {"steps": [{"action": "a", "observation": "b"} | fields]}


@pytest.mark.parametrize(
    "line",
    [
        '{"a":1}',
        "[]",
        json.dumps(USUAL)[:-1] + ',"status":"done"}',
        json.dumps(USUAL)[:-1] + ',"more":1}',
        json.dumps(USUAL).replace('"action"', '"action":"x","action"', 1),
        json.dumps(USUAL).replace('"action"', '"\\u0061ction":"x","action"', 1),
        json.dumps(USUAL | {"info": {"b": [{"x": 1}]}}).replace('"x": 1', '"x": 1, "x": 2'),
        json.dumps(USUAL | {"info": {"n": 10**30}}),
        json.dumps(USUAL | {"info": {"n": float("nan")}}),
        json.dumps(USUAL | {"info": {"sample_index": 1}, "origin": None}),
        json.dumps(USUAL | {"total_return": True}),
        json.dumps(USUAL | {"total_return": -0.0}),
        json.dumps(USUAL | {"total_return": "1"}),
        json.dumps(USUAL | {"status": "finished"}),
        json.dumps(USUAL | {"prompt": None}),
        json.dumps(USUAL | {"prompt": [{"role": "tool", "content": ""}]}),
        json.dumps(USUAL | {"origin": {"seed": 1.5}}),
        json.dumps(USUAL | {"origin": {"sample_index": True}}),
        json.dumps(USUAL | {"task_id": "\ud800"}),
        json.dumps(with_step(action=None)),
        json.dumps(with_step(token_ids=[1], logprobs=[])),
        json.dumps(with_step(token_ids=[1.0])),
        json.dumps(with_step(token_ids=[True])),
        json.dumps(with_step(is_cut=1)),
        json.dumps(with_step(tool_calls=[{"name": "f", "arguments": "{}"}])),
        json.dumps(with_step(action="f {}", tool_calls=[{"name": "f", "arguments": "{ }"}])),
        json.dumps(with_step(action=None, tool_calls=[{"name": "f g", "arguments": "{}"}])),
        json.dumps(USUAL | {"info": {"deep": json.loads("[" * 150 + "]" * 150)}}),
        "\ufeff" + json.dumps(USUAL),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_left_to_python(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n" + line + "\n", encoding="utf-8")
    assert read_columns([tmp_path / "a.jsonl"], Repeats()) is None


@given(trajectory_lists())
@example([episode("ab", 1.0), episode("abC", 0.5, status="error"), episode("a", 0.0, "other")])
def test_written_trajectories_come_back_and_make_the_same_forest(
    trajectories: list[Trajectory],
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        write_trajectories(path, trajectories)
        check_equal_by_both_roads(path.read_bytes())
        read = w2s.read_trajectories(path)
        assert read == trajectories
        assert forest_or_refusal(read) == forest_or_refusal(trajectories)


def test_several_files_are_one_reading(tmp_path: Path) -> None:
    runs = [episode("ab", 1.0), episode("aB", 0.0, status="error"), episode("ba", 0.5, "other")]
    write_trajectories(tmp_path / "a.jsonl", runs[:1])
    (tmp_path / "b.jsonl.gz").write_bytes(
        gzip.compress("\n\r\n".join(t.to_json() for t in runs[1:]).encode())
    )
    (tmp_path / "c.ndjson").write_bytes(b"\xef\xbb\xbf\n")
    reading = read_files(tmp_path)
    assert type(reading.trajectories) is Records
    assert list(reading.files.values()) == [1, 2, 0]
    assert reading.trajectories == runs
    forest = w2s.build_forest(reading.trajectories)
    assert list(forest.trajectories) == [runs[0], runs[2]]
    assert (forest.num_errors, forest.digest()) == (1, w2s.build_forest(runs).digest())


def test_a_line_may_be_longer_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [episode("ab" * size, 1.0, str(size)) for size in (1, 40, 2, 3)]
    write_trajectories(tmp_path / "a.jsonl", runs)
    for size in (1, 7, 100, 5_000):
        monkeypatch.setattr(lines, "_BLOCK", size)
        reading = read_files(tmp_path)
        assert type(reading.trajectories) is Records
        assert reading.trajectories == runs


def test_one_task_with_two_prompts_is_refused_by_their_places(tmp_path: Path) -> None:
    other = Trajectory("task", (*PROMPT, *PROMPT), (), 0.0, "done")
    write_trajectories(tmp_path / "a.jsonl", [episode("a", 1.0, "x"), episode("a", 1.0), other])
    with pytest.raises(InvalidInput, match=r"^trajectories\[1\] and trajectories\[2\] have task_"):
        w2s.build_forest(w2s.read_trajectories(tmp_path))


def test_records_are_a_sequence_that_adds_and_compares_as_lists_do(tmp_path: Path) -> None:
    runs = [episode("ab" * i, 1.0, str(i)) for i in range(4)]
    write_trajectories(tmp_path / "a.jsonl", runs)
    read = w2s.read_trajectories(tmp_path)
    assert type(read) is Records
    assert (read[0], read[-1], read[1:3], len(read)) == (runs[0], runs[3], runs[1:3], 4)
    assert read == runs and runs == read and read != runs[1:] and read != tuple(runs)
    assert read + runs == runs + runs == runs + read
    assert runs[2] in read and read.index(runs[2]) == 2 and [*reversed(read)] == runs[::-1]
    assert read[1] is read[1]
    assert pickle.loads(pickle.dumps(read)) == runs
    with pytest.raises(IndexError):
        read[4]
    with pytest.raises(TypeError):
        hash(read)


def test_a_forest_grows_by_what_was_read(tmp_path: Path) -> None:
    runs = [episode("ab", 1.0), episode("aB", 0.0), episode("ba", 0.5)]
    write_trajectories(tmp_path / "a.jsonl", runs[1:])
    read = w2s.read_trajectories(tmp_path)
    grown = w2s.build_forest(runs[:1]).add(read)
    assert grown.digest() == w2s.build_forest(runs).digest()
    assert list(grown.trajectories) == runs
    assert w2s.build_forest(read).add(runs[:1]).digest() == grown.digest()
