"""Trajectory files: exact round trips, and every malformed line named."""

from __future__ import annotations

import json
import re
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import episode, trajectory_lists

from w2stree import (
    InvalidInput,
    Message,
    Origin,
    Step,
    Trajectory,
    read_trajectories,
    write_trajectories,
)

FULL = Trajectory(
    task_id="coin/3",
    prompt=(Message("system", "You play."), Message("user", "Find\u2028the 🪙.")),
    steps=(
        Step("go", "A hall.\n", "Thought: go\nAction: go", (1, 2), (-0.5, -1e-300), 0.1),
        Step("", ""),
    ),
    total_return=0.1 + 0.2,
    status="truncated",
    info={"sampling": {"temperature": 0.7}, "seed": 3},
)


def test_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    write_trajectories(file, [FULL, episode("ab", 1.0)])
    assert read_trajectories(file) == [FULL, episode("ab", 1.0)]
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]


@given(trajectory_lists())
def test_round_trip_of_any(trajectories: list[Trajectory]) -> None:
    lines = [trajectory.to_json() for trajectory in trajectories]
    assert not any("\n" in line for line in lines)
    assert [Trajectory.from_json(line) for line in lines] == trajectories


@given(st.text())
def test_round_trip_of_any_text(text: str) -> None:
    trajectory = Trajectory(text, (Message("user", text),), (Step(text, text, text),), 0.5, "done")
    assert Trajectory.from_json(trajectory.to_json()) == trajectory


def test_half_a_character_is_kept(tmp_path: Path) -> None:
    """A game that cuts its text between the halves of a surrogate pair; UTF-8 has no such thing."""
    halved = replace(FULL, steps=(Step("go", "caf\ud83d \ude00."),), task_id="\udcff")
    write_trajectories(tmp_path / "t.jsonl", [halved])
    assert read_trajectories(tmp_path) == [halved]


def test_reads_directories_in_name_order_and_skips_blank_lines(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "b.jsonl", [episode("b", 0)])
    (tmp_path / "a.jsonl").write_text("\n" + episode("a", 0).to_json() + "\n\n")
    assert read_trajectories(tmp_path) == [episode("a", 0), episode("b", 0)]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no files of runs"):
        read_trajectories(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"^[^\[]*absent\.jsonl: no such file or directory$"
    ):
        read_trajectories(tmp_path / "absent.jsonl")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    write_trajectories(file, [FULL])
    written_into = replace(FULL, info={"note": 1})
    written_into.info["note"] = float("nan")  # type: ignore[index]
    with pytest.raises(InvalidInput, match=r"info\['note'\]: nan is no number of JSON"):
        write_trajectories(file, [episode("a", 0), written_into])
    assert read_trajectories(file) == [FULL]
    assert [path.name for path in tmp_path.iterdir()] == ["t.jsonl"]


def test_trajectories_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        FULL.total_return = 1.0  # type: ignore[misc]


def test_a_torn_last_line_may_be_deleted(tmp_path: Path) -> None:
    """Cut anywhere, in the middle of a character too."""
    file = tmp_path / "t.jsonl"
    whole = FULL.to_json().encode()
    for size in (1, whole.index("🪙".encode()) + 2, len(whole) - 1):
        file.write_bytes(whole + b"\n" + whole[:size])
        with pytest.raises(InvalidInput, match=r"t\.jsonl:2: torn.*delete this line$"):
            read_trajectories(file)
    other = replace(FULL, task_id="coin/4").to_json().encode()
    file.write_bytes(whole + b"\n" + other)
    assert len(read_trajectories(file)) == 2, "whole, but for its line break"


@pytest.mark.parametrize("bad", ['{"task_id": "t", ', "{'task_id': 't'}", "and so on"])
def test_other_lines_that_are_no_json_are_not_to_be_deleted(bad: str, tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    for lines in (f"{bad}\n{FULL.to_json()}\n", f"{FULL.to_json()}\n{bad}\n"):
        file.write_text(lines, encoding="utf-8")
        with pytest.raises(
            InvalidInput, match=r"t\.jsonl:\d: (not valid JSON|no JSON-lines file)"
        ) as caught:
            read_trajectories(file)
        assert "delete" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "begins"),
    [
        (b"# w2stree\n\nwords\n", "'# w2stree'"),
        (b"\nw2s1 0000000004 cbf43926 {}\n", "'w2s1 0000000004 cbf43926 {}'"),
        (b"[\n", "'['"),
        (b"12", "'12'"),
        (b"\x89PNG\r\n", "'\N{REPLACEMENT CHARACTER}PNG'"),
        (b'"' + b"x" * 5_000, f"'\"{'x' * 38}…'"),
    ],
)
def test_what_is_no_file_of_trajectories_is_said_to_be_none(
    content: bytes, begins: str, tmp_path: Path
) -> None:
    file = tmp_path / "README.md"
    file.write_bytes(content)
    message = (
        rf"README\.md:\d: no JSON-lines file of trajectories: it begins with {re.escape(begins)}"
    )
    with pytest.raises(InvalidInput, match=message):
        read_trajectories(file)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_bytes(b"\n\n" + b'{"task_id": "\xff"}\n')
    with pytest.raises(InvalidInput, match=r"t\.jsonl:3: not UTF-8 at column 14"):
        read_trajectories(file)


STEP = {"action": "go", "observation": "ok"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task_id": 3}, "task_id is int; expected a string"),
        ({"task_id": None}, "task_id is NoneType; expected a string"),
        ({"total_return": "1"}, "total_return is '1'; expected a finite number"),
        ({"total_return": 10**400}, "total_return is 1000.*expected a finite number"),
        ({"total_return": True}, "total_return is True; expected a finite number"),
        ({"total_return": float("nan")}, r"NaN at column \d+ is no number of JSON"),
        ({"status": "success"}, "status is 'success'; use one of"),
        ({"status": ["done"]}, "status is list; expected a string"),
        ({"prompt": "hi"}, "prompt is str; expected an array"),
        ({"prompt": ["hi"]}, r"prompt\[0\] is str; expected an object"),
        ({"prompt": [{"role": "user"}]}, r"prompt\[0\]: content is NoneType; expected a string"),
        ({"steps": {}}, "steps is dict; expected an array"),
        ({"steps": [STEP, 1]}, r"steps\[1\] is int; expected an object"),
        ({"steps": [STEP, {"action": "a"}]}, r"steps\[1\]: observation is NoneType"),
        ({"steps": [{**STEP, "prize": 1}]}, r"steps\[0\]: unknown field 'prize'; fields are"),
        ({"steps": [{**STEP, "reward": "all"}]}, r"steps\[0\]: reward is 'all'; expected a finite"),
        ({"steps": [{**STEP, "token_ids": [1.5]}]}, r"token_ids\[0\] is 1.5; expected an integer"),
        (
            {"steps": [{**STEP, "logprobs": ["x"]}]},
            r"logprobs\[0\] is 'x'; expected a finite number",
        ),
        (
            {"steps": [{**STEP, "token_ids": [1, 2], "logprobs": [-1]}]},
            r"steps\[0\]: 2 token_ids but 1 logprobs; give one for each",
        ),
        ({"info": []}, "info is list; expected an object"),
        ({"success": True}, "unknown field 'success'; fields are task_id,"),
    ],
)
def test_malformed_records_name_the_field(change: dict, message: str) -> None:
    record = {**json.loads(episode("a", 1.0).to_json()), **change}
    with pytest.raises(InvalidInput, match=r"^runs/x\.jsonl:7: .*" + message):
        Trajectory.from_json(json.dumps(record), where="runs/x.jsonl:7")


@pytest.mark.parametrize("line", ["1" * 5000, "[" * 100_000])
def test_json_beyond_the_parser(line: str) -> None:
    with pytest.raises(
        InvalidInput, match=r"^runs/x\.jsonl:7: (has a number of|nested deeper than)"
    ):
        Trajectory.from_json(line, where="runs/x.jsonl:7")


@pytest.mark.parametrize("line", ["3", "[]", "null", '"text"'])
def test_records_that_are_no_objects(line: str) -> None:
    with pytest.raises(InvalidInput, match=r"the record is .*; expected an object"):
        Trajectory.from_json(line)


def test_null_is_what_is_left_out() -> None:
    """Tables have every column in every row; a row without it is null there."""
    step = {"action": "a", "observation": "b", "response": None, "token_ids": None}
    step |= {"logprobs": None, "reward": None, "tool_calls": None, "is_cut": None}
    bare = {"task_id": "t", "prompt": [], "steps": [step], "total_return": 1, "status": "done"}
    expected = Trajectory("t", (), (Step("a", "b"),), 1.0, "done")
    for origin in (None, {}, dict.fromkeys(Origin.__dataclass_fields__)):
        assert (
            Trajectory.from_json(json.dumps({**bare, "origin": origin, "info": None})) == expected
        )


def test_missing_fields_are_named() -> None:
    for name in ("task_id", "prompt", "steps", "total_return", "status"):
        record = json.loads(FULL.to_json())
        del record[name]
        with pytest.raises(InvalidInput, match=f"{name} is "):
            Trajectory.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            {"role": "human", "content": "Fry."},
            r"prompt\[0\]: role is 'human'; use one of system, user, assistant$",
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": []},
            r"prompt\[0\]: unknown field 'tool_calls'; fields are role, content$",
        ),
        ({"role": "user", "content": None}, r"prompt\[0\]: content is NoneType; expected a string"),
    ],
)
def test_messages_of_other_kinds_are_refused(message: dict[str, object], told: str) -> None:
    record = json.loads(FULL.to_json()) | {"prompt": [message]}
    with pytest.raises(InvalidInput, match=told):
        Trajectory.from_json(json.dumps(record))


def test_a_message_of_another_role_cannot_be_made() -> None:
    with pytest.raises(InvalidInput, match=r"^role is 'human'; use one of system"):
        Message("human", "Fry.")


def test_a_step_says_whether_the_agents_words_are_known() -> None:
    assert not Step("go", "ok").is_worded, "a log of actions alone"
    for step in (
        Step("go", "ok", "Action: go"),
        Step("", "Your reply had no action."),
        Step("go", "ok", token_ids=(1,)),
    ):
        assert step.is_worded
