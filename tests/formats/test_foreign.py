"""One run, as five tools write it, is one run; and whatever else they write is read or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.foreign_run import PROMPT, REWARD, STEPS, THOUGHT
from support.foreign_runs import WRITTEN, Written

from w2stree import InvalidInput, Step, Trajectory
from w2stree.formats import FORMATS
from w2stree.formats.format import Format, Located
from w2stree.formats.reader import Reader
from w2stree.formats.reading import format_of, read_files, read_trajectories, recognised
from w2stree.formats.writing import write_trajectories

of_each = pytest.mark.parametrize("written", WRITTEN, ids=lambda w: f"{w.format}{w.suffix}")


@of_each
def test_the_run_is_the_same_whoever_wrote_it(written: Written, tmp_path: Path) -> None:
    read = read_files(written.write(tmp_path))
    (run,) = read.reading.trajectories
    assert list(read.formats.values()) == [written.format]
    first = replace(STEPS[0], token_ids=(5, 7), logprobs=(-0.5, -0.25))
    assert run.steps == ((first if written.has_ids else STEPS[0]), STEPS[1])
    assert (run.prompt, run.total_return, run.status) == (PROMPT, REWARD, "done")
    assert run.task_id == written.task_id
    assert THOUGHT in json.dumps(run.info)


@of_each
def test_a_reward_and_a_task_can_be_chosen(written: Written, tmp_path: Path) -> None:
    file = written.write(tmp_path)
    (run,) = read_trajectories(file, reward=1.0, task=lambda record: "mine")
    assert (run.total_return, run.task_id) == (1.0, "mine")
    with pytest.raises(InvalidInput, match=r"no reward at nowhere; its fields are \w+"):
        read_trajectories(file, reward="nowhere")


@of_each
def test_a_text_in_the_place_of_messages_is_refused(written: Written, tmp_path: Path) -> None:
    text = json.dumps(written.make()).replace("role", "roll").replace('"source":', '"sauce":')
    value = json.loads(text)
    if recognised(value[0] if isinstance(value, list) else value) is None:
        return  # not told from what is no run at all
    with pytest.raises(InvalidInput, match=r"(role|source) is (NoneType|None)|no call of a model"):
        read_trajectories(written.write(tmp_path, value))


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from(["user", "assistant", "tool", "agent", "c1", "reasoning", "NaN"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "type", "content", "text", "id", "value", "w2stree", "parts"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def changed(data: st.DataObject, value: Any) -> Any:
    """One value in it replaced or left out, at any depth."""
    at, key = {"": value}, ""
    whole = at
    while isinstance(at[key], dict | list) and at[key] and data.draw(st.integers(0, 4)):
        at = at[key]
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
    if at is not whole and data.draw(st.booleans()):
        del at[key]
    else:
        at[key] = data.draw(ANY)
    return whole.get("", {})


def located(written: Written, value: Any) -> list[Located]:
    if written.suffix == ".eval" and isinstance(value, dict):
        return [(f"a.eval: {name}", member) for name, member in value.items()]
    lines = value if isinstance(value, list) else [value]
    return [(f"a.eval:{i + 1}", line) for i, line in enumerate(lines)]


@of_each
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
def test_what_is_about_right_is_read_or_refused_by_place(
    written: Written, data: st.DataObject
) -> None:
    value = json.loads(json.dumps(written.make()))
    for _ in range(data.draw(st.integers(1, 2))):
        value = changed(data, value)
    known = format_of(written.format)
    assert known is not None
    records = located(written, value)
    for _, record in records:
        assert isinstance(known.recognises(record), bool)
    try:
        for where, record in known.gather(records):
            for run in known.runs(record, where, Reader()) if known.recognises(record) else ():
                assert isinstance(run, Trajectory)
                assert Trajectory.from_json(run.to_json()) == run
    except InvalidInput as error:
        assert str(error).startswith("a.eval:")


@of_each
@pytest.mark.parametrize(
    "name", [known.name for known in FORMATS if known.record_of or known.write]
)
def test_a_run_of_one_tool_is_written_for_another(
    written: Written, name: str, tmp_path: Path
) -> None:
    """Also for one that has no place for tools, without them: nothing of `info` misleads."""
    (run,) = read_trajectories(written.write(tmp_path))
    if name in ("agenttraj", "eto", "sharegpt"):
        steps = tuple(Step(f"act {i}", "seen", f"Action: act {i}") for i in range(2))
        run = replace(run, prompt=run.prompt[1:], steps=steps)
    file = tmp_path / ("other.eval" if name == "inspect" else "other.jsonl")
    write_trajectories(file, [run], format=name)
    given = read_files(file)
    assert given.reading.trajectories == [run]
    assert given.formats == ({} if name == "w2stree" else {file: name})


TELLING_OTHERS: dict[str, Any] = {
    "messages": [{"role": "user", "content": "x"}],
    "conversations": [{"from": "gpt", "value": "x", "loss": True}],
    "items": [{"type": "reasoning"}],
    "input": [{"role": "user"}],
    "output": [],
    "prompt": [],
    "completion": [],
    "traces": [{}],
    "task": {},
    "steps": [],
    "status": "done",
    "total_return": 1.0,
    "traj": [],
    "trajectory": [],
    "history": [],
    "attempts": [],
    "schema_version": "ATIF-v1.8",
    "eval": {},
    "sample": {},
    "version": 2,
    "plan": {},
    "item_id": "x",
    "meta": {"agent": "x", "reward": 1, "steps": 1, "terminate_reason": "x"},
    "context": {"trace_id": "1", "span_id": "2"},
    "trace_id": "1",
    "span_id": "2",
    "attributes": {},
    "resourceSpans": [],
}


@pytest.mark.parametrize("known", [f for f in FORMATS if f.record_of], ids=lambda f: f.name)
def test_what_a_run_carries_does_not_make_it_another_tools(known: Format) -> None:
    steps = (Step("go", "There.", "Action: go"),)
    run = Trajectory("t", PROMPT[1:], steps, 1.0, "done", info=TELLING_OTHERS)
    assert known.record_of is not None
    record = json.loads(json.dumps(known.record_of(run)))
    assert recognised(record) is known
    assert list(known.runs(record, "here", Reader())) == [run]


@of_each
def test_no_other_format_takes_it_for_its_own(written: Written) -> None:
    value = json.loads(json.dumps(written.make()))
    records = [record for _, record in located(written, value)]
    if written.suffix == ".eval":
        records = records[-1:]
    for record in records:
        takers = [known.name for known in FORMATS if known.recognises(record)]
        assert takers[:1] == [written.format]
        assert len(takers) == 1
