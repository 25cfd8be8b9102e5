"""Whatever a format writes is read back equal; what it cannot hold is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.any_runs import RUNS

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory
from w2stree.formats import FORMATS
from w2stree.formats.format import Format
from w2stree.formats.reader import Reader
from w2stree.formats.reading import read_files, read_trajectories, recognised
from w2stree.formats.writing import write_trajectories
from w2stree.trajectories.tool_call import action_of

BY_RECORD = [known for known in FORMATS if known.record_of is not None]
named = pytest.mark.parametrize("known", BY_RECORD, ids=lambda known: known.name)


def plain_runs(known: Format) -> list[Trajectory]:
    """What this format can hold of three runs of three tasks, one of them with a tool: every one
    holds the last."""
    prompt = (Message("system", "You play."), Message("user", "Find the key."))
    said = ("Thought: hm\nAction: look", "Action: take key")
    words = tuple(
        Step(action, f"You {action}.", response)
        for action, response in zip(("look", "take key"), said, strict=True)
    )
    calls = (ToolCall("open", '{"box": 1}', "c1"),)
    tools = (Step(action_of(calls), "Empty.", tool_calls=calls), Step("Done.", "", "Done."))
    broken = ToolCall("open", '{"box": "1}', "c2")
    retried = Step(action_of([broken]), "No JSON.", tool_calls=(broken,))
    runs = [
        Trajectory("t4", prompt, (retried, *tools), 0.0, "done"),
        Trajectory("t1", prompt, words, 1.0, "done"),
        Trajectory("t2", prompt, tools, 0.5, "truncated", info={"model": "m"}),
    ]
    simple = Trajectory("t3", prompt[1:], words, 0.0, "truncated", info={"model": "m"})
    return [*(run for run in runs if is_held(known, run)), simple]


def is_held(known: Format, run: Trajectory) -> bool:
    assert known.record_of is not None
    try:
        return bool(known.record_of(run))
    except InvalidInput:
        return False


@named
@given(run=RUNS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_run_is_read_back_equal_or_refused(known: Format, run: Trajectory) -> None:
    assert known.record_of is not None
    try:
        record = known.record_of(run)
    except InvalidInput as error:
        assert str(error)
        return
    read = json.loads(json.dumps(record))
    assert list(known.runs(read, "here", Reader())) == [run]


@named
def test_its_records_are_told_from_all_others(known: Format) -> None:
    assert known.record_of is not None
    for run in plain_runs(known):
        assert recognised(json.loads(json.dumps(known.record_of(run)))) is known


BROKEN = '{"from": "OSL", "to": "CDG}'
CALLED = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": BROKEN}}
FUNCTION_CALL = {"type": "function_call", "call_id": "c1", "name": "search", "arguments": BROKEN}
USER = {"role": "user", "content": "Go."}
BROKEN_RECORDS: dict[str, tuple[dict[str, Any], str]] = {
    "messages": ({"messages": [USER, {"role": "assistant", "tool_calls": [CALLED]}]}, ""),
    "responses": ({"input": [USER], "output": [FUNCTION_CALL]}, ""),
    "verifiers": (
        {
            "example_id": 1,
            "prompt": [USER],
            "completion": [
                {"role": "assistant", "content": "", "tool_calls": [json.dumps(CALLED)]}
            ],
        },
        "",
    ),
    "sharegpt": (
        {
            "conversations": [
                {"from": "human", "value": "Go."},
                {"from": "function_call", "value": BROKEN},
            ]
        },
        "function_call",
    ),
}
"""A record in which a model broke off its JSON, and the tool's name where nothing says it."""


@pytest.mark.parametrize("name", BROKEN_RECORDS)
def test_broken_arguments_are_the_action_and_written_as_they_were(name: str) -> None:
    record, tool = BROKEN_RECORDS[name]
    known = next(f for f in FORMATS if f.name == name)
    (run,) = known.runs({"reward": 0, "task_id": "t", **record}, "here", Reader())
    assert run.steps[0].action == f"{tool or 'search'} {BROKEN}"
    assert known.record_of is not None
    written = json.dumps(known.record_of(run)).replace("\\", "")
    assert BROKEN in written
    (again,) = known.runs(known.record_of(run), "here", Reader())
    assert again == run


@pytest.mark.parametrize(("name", "file"), [("atif", "a.json"), ("inspect", "a.eval")])
def test_where_objects_alone_are_held_they_are_refused(
    name: str, file: str, tmp_path: Path
) -> None:
    call = ToolCall("search", BROKEN)
    step = Step(action_of([call]), "", tool_calls=(call,))
    run = Trajectory("t", (Message("user", "Go."),), (step,), 0.0, "done")
    with pytest.raises(InvalidInput, match=r"task 't': search: .*write chat messages \(messages\)"):
        write_trajectories(tmp_path / file, [run], format=name)


@named
@pytest.mark.parametrize("name", ["runs.jsonl", "runs.jsonl.gz", "runs.json", "runs.parquet"])
def test_every_container_holds_them(known: Format, name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    runs = plain_runs(known)
    write_trajectories(tmp_path / name, runs, format=known.name)
    assert read_trajectories(tmp_path / name) == runs
    read = read_files(tmp_path)
    assert read.reading.files == {tmp_path / name: len(runs)}
    assert set(read.formats.values()) <= {known.name}
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("ending", ["journal", "arrow", "jsonl.zst", "jsonl.bz2", "zip", "eval"])
def test_no_name_promises_what_is_not_in_it(ending: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"use \.jsonl, \.jsonl\.gz, \.json or \.parquet"):
        write_trajectories(tmp_path / f"runs.{ending}", plain_runs(BY_RECORD[0]))
    assert list(tmp_path.iterdir()) == []


KEYS = ["role", "content", "from", "value", "tool_calls", "function", "name", "arguments", "id"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@named
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_records_of_about_its_shape_are_read_or_refused(known: Format, data: st.DataObject) -> None:
    """A field of a good record replaced, at any depth."""
    assert known.record_of is not None
    record = json.loads(json.dumps(known.record_of(data.draw(st.sampled_from(plain_runs(known))))))
    at, key = record, data.draw(st.sampled_from(sorted(record)))
    while isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
        at = at[key]
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
    at[key] = data.draw(JSON)
    assert isinstance(known.recognises(record), bool)
    try:
        for run in known.runs(record, "runs.jsonl:3", Reader()):
            assert isinstance(run, Trajectory)
    except InvalidInput as error:
        assert str(error).startswith("runs.jsonl:3")
