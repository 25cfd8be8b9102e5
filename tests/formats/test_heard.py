"""Who said what between two turns: read, kept beside one observation, and written as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from w2stree import InvalidInput, Trajectory
from w2stree.formats import messages, sharegpt
from w2stree.formats.openings import with_one_opening
from w2stree.formats.reader import Reader
from w2stree.formats.reading import read_trajectories
from w2stree.formats.writing import write_trajectories
from w2stree.trajectories.answers import HEARD, Answer, answers_to, with_answers

ASKED = {"role": "user", "content": "Fix it"}


def said(text: str, **beside: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **beside}


def told(text: str, role: str = "user", **beside: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **beside}


def calling(*names: str) -> dict[str, Any]:
    calls = [
        {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for i, name in enumerate(names, 1)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def answer(text: str, to: str, **beside: Any) -> dict[str, Any]:
    return {"role": "tool", "content": text, "tool_call_id": to, **beside}


SEVERAL_WORDS = [
    *(ASKED, said("ls", reasoning_content="R-ls"), told("a.py"), told("(2 turns left)")),
    *(said("cat", reasoning_content="R-cat"), told("x"), said("done", reasoning_content="R-done")),
]
OUT_OF_ORDER = [
    *(ASKED, calling("ls", "pwd"), answer("B ok", "c2")),
    *(answer("A failed", "c1", is_error=True, name="ls"), said("done")),
]
NOTHING_BETWEEN = [ASKED, said("I think."), calling("ls"), answer("a.py", "c1"), said("done")]
SYSTEM_BETWEEN = [ASKED, said("ls"), told("Be nice.", "system"), told("a.py"), said("done")]
USER_AFTER_TOOL = [ASKED, calling("ls"), answer("a.py", "c1"), told("Hurry."), said("done")]
USER_FOR_TOOL = [ASKED, calling("ls"), told("Stop!"), calling("a", "b"), told("Stop."), said("ok")]
EMPTY = [ASKED, said("ls"), told(""), calling("ls"), answer("", "c1"), said("done"), told("")]
LOGS = {
    name: given
    for name, given in globals().items()
    if name.isupper() and isinstance(given, list) and given
}


def read(given: list[dict[str, Any]], **beside: Any) -> Trajectory:
    (run,) = messages.runs({"messages": given, "reward": 1, **beside}, "here", Reader())
    return run


@pytest.mark.parametrize("name", LOGS)
def test_messages_are_written_as_they_were_said(name: str) -> None:
    record = messages.record_of(read(LOGS[name]))
    assert record["messages"] == LOGS[name]
    assert "w2stree" not in record


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", LOGS)
def test_files_of_ours_keep_it(name: str, suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    run = read(LOGS[name])
    write_trajectories(tmp_path / f"own.{suffix}", [run])
    (kept,) = read_trajectories(tmp_path / f"own.{suffix}")
    assert kept == run
    assert messages.record_of(kept)["messages"] == LOGS[name]


@pytest.mark.parametrize("name", LOGS)
def test_inspect_holds_what_it_held(name: str, tmp_path: Path) -> None:
    run = read(LOGS[name])
    write_trajectories(tmp_path / "log.eval", [run], format="inspect")
    assert read_trajectories(tmp_path / "log.eval") == [run]


def test_an_observation_stays_one_text_in_the_order_of_the_calls() -> None:
    assert [step.observation for step in read(OUT_OF_ORDER).steps] == ["A failed\nB ok", ""]
    assert [step.observation for step in read(SEVERAL_WORDS).steps[:1]] == ["a.py\n(2 turns left)"]
    (step, _) = with_answers(read(OUT_OF_ORDER))
    assert answers_to(step) == (Answer("tool", "A failed", 0), Answer("tool", "B ok", 1))
    assert HEARD not in read([ASKED, said("ls"), told("a.py"), said("done")]).info


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ({"0": [{"role": "user", "length": 3}]}, "its lengths are not those of the observation"),
        ({"0": []}, "its lengths are not those of the observation"),
        ({"7": []}, "there is no step '7', of 3"),
        ({"0": [{"role": "boss", "length": 19}]}, "role is 'boss'"),
        ({"0": [{"role": "tool", "length": 19, "call": 0}]}, "call is 0"),
        ({"0": [{"role": "user", "length": -1}]}, "length is -1"),
        ([], "info"),
    ],
)
def test_what_is_of_other_steps_is_refused(heard: Any, reason: str) -> None:
    run = read(SEVERAL_WORDS)
    changed = replace(run, info={**run.info, HEARD: heard})
    with pytest.raises(InvalidInput, match=reason) as refused:
        messages.record_of(changed)
    assert "heard" in str(refused.value)


def test_a_field_of_that_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"here: has a field heard.*another name"):
        read(SEVERAL_WORDS, heard=["a noise"])


@pytest.mark.parametrize("is_longer", [True, False])
def test_fields_stay_with_their_messages_under_another_opening(is_longer: bool) -> None:
    plain, longer = (
        read(SEVERAL_WORDS),
        read([told("Be brief.", "system", name="s"), *SEVERAL_WORDS]),
    )
    first, other = (plain, longer) if is_longer else (longer, plain)
    first, other = (replace(run, task_id="t") for run in (first, other))
    _, opened = with_one_opening([first, other], Reader())
    written = messages.record_of(opened)["messages"]
    thoughts = [m.get("reasoning_content") for m in written if m["role"] == "assistant"]
    assert thoughts == ["R-ls", "R-cat", "R-done"]
    assert not any("reasoning_content" in m for m in written if m["role"] != "assistant")
    if is_longer:
        assert opened.info["opening"][0] == {"role": "system", "content": "Be brief.", "name": "s"}


def test_a_system_beside_the_conversation_moves_no_field() -> None:
    record = {
        "system": "Be brief.",
        "reward": 1,
        "conversations": [
            {"from": "human", "value": "Fix it"},
            {"from": "gpt", "value": "done", "thought": "easy"},
        ],
    }
    (run,) = sharegpt.runs(record, "here", Reader())
    last = json.loads(json.dumps(messages.record_of(run)))["messages"][-1]
    assert last == said("done", thought="easy")


@pytest.mark.parametrize("name", ["eto", "agenttraj"])
def test_formats_without_a_system_refuse_one_between_turns(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the system speaks between two turns"):
        write_trajectories(tmp_path / "a.jsonl", [read(SYSTEM_BETWEEN)], format=name)
