"""Reading what others wrote: told by its contents, chosen where it is open, accounted for."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory
from w2stree.errors import FilesPassedOver
from w2stree.formats.reader import Choices
from w2stree.formats.reading import read_files, read_trajectories
from w2stree.formats.writing import write_trajectories

SYSTEM = {"role": "system", "content": "You play."}
USER = {"role": "user", "content": "Find the key."}
LOOK = {"role": "assistant", "content": "Thought: hm\nAction: look"}
SEEN = {"role": "user", "content": "A box."}
SILENT = {"role": "assistant", "content": "I am done."}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": i, "type": "function", "function": {"name": "open", "arguments": arguments}}
        for i, arguments in (("c1", '{"box": 2, "at": 1}'), ("c2", "{}"))
    ],
}


def answer(to: str | None, text: str) -> dict[str, Any]:
    return {"role": "tool", "content": text} | ({} if to is None else {"tool_call_id": to})


def record(*messages: Any, **beside: Any) -> dict[str, Any]:
    return {"task_id": "t", "reward": 1.0, "messages": [SYSTEM, USER, *messages]} | beside


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def read_one(folder: Path, given: Any, **choices: Any) -> Trajectory:
    (run,) = read_trajectories(write(folder / "a.jsonl", given), **choices)
    return run


def test_a_conversation_is_its_prompt_and_its_steps(tmp_path: Path) -> None:
    run = read_one(tmp_path, record(LOOK, SEEN, SILENT, model="m"))
    assert run.prompt == (Message("system", "You play."), Message("user", "Find the key."))
    assert run.steps == (
        Step("look", "A box.", "Thought: hm\nAction: look"),
        Step("", "", "I am done."),
    )
    assert (run.task_id, run.total_return, run.status) == ("t", 1.0, "done")
    assert run.info == {"model": "m"}


@pytest.mark.parametrize("order", [("c1", "c2"), ("c2", "c1"), (None, None)])
def test_calls_are_structure_whatever_the_order_of_keys_and_answers(
    order: tuple[str | None, str | None], tmp_path: Path
) -> None:
    texts = {"c1": "One.", "c2": "Two."}
    said = [texts[i] if i else ("One.", "Two.")[n] for n, i in enumerate(order)]
    answers = [answer(i, text) for i, text in zip(order, said, strict=True)]
    (step,) = read_one(tmp_path, record(CALL, *answers, SEEN)).steps
    assert step.action == 'open {"at":1,"box":2}\nopen {}'
    assert step.observation == "One.\nTwo.\nA box."
    assert [call.result for call in step.tool_calls] == ["One.", "Two."]
    assert step.tool_calls[0] == ToolCall("open", '{"at":1,"box":2}', "c1", "One.")


@pytest.mark.parametrize(
    ("action", "actions"),
    [
        (None, ["look", ""]),
        ("turn", ["Thought: hm\nAction: look", "I am done."]),
        ("react", ["look", ""]),
        (r"Thought: (\w+)", ["hm", ""]),
        (r"\w+\.$", ["", "done."]),
        (str.upper, ["THOUGHT: HM\nACTION: LOOK", "I AM DONE."]),
        (lambda turn: None, ["", ""]),
    ],
)
def test_what_of_a_turn_is_its_action(action: Any, actions: list[str], tmp_path: Path) -> None:
    run = read_one(tmp_path, record(LOOK, SEEN, SILENT), action=action)
    assert [step.action for step in run.steps] == actions


def turns(*texts: str) -> dict[str, Any]:
    said = [{"role": "assistant", "content": text} for text in texts]
    return record(*(message for turn in said for message in (turn, SEEN)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Action: search\nAction Input: Oslo", "Action: search\nAction Input: Bergen"),
        ("Action: write a.py\nprint(1)", "Action: write a.py\nprint(2)"),
        ('Action: {\n "name": "s", "q": 1\n}', 'Action: {\n "name": "s", "q": 2\n}'),
        ("Action: bash\n```\nls\n```", "Action: bash\n```\npwd\n```"),
        ("Action:\n```\ncd a\nls\n```", "Action:\n```\ncd b\nls\n```"),
    ],
)
def test_actions_that_differ_in_a_later_line_are_two(one: str, other: str, tmp_path: Path) -> None:
    read = [read_one(tmp_path, turns(text)).steps[0].action for text in (one, other)]
    assert read[0] != read[1] and all(read)


def test_an_action_ends_where_the_next_line_s_label_says(tmp_path: Path) -> None:
    said = "Thought: hm\nAction: search\nAction Input: Oslo\nObservation: made up\nAction: end"
    (step,) = read_one(tmp_path, turns(said)).steps
    assert step.action == "search\nAction Input: Oslo"


@pytest.mark.parametrize(
    ("texts", "actions", "told"),
    [
        (["Action: a", "Action: b"], ["a", "b"], "an Action: line"),
        (["Action: a", "b"], ["a", ""], "an Action: line, none in turns without one"),
        (["Action: a\nb"], ["a\nb"], "an Action: line and the lines after it"),
        (["a", "b"], ["a", "b"], "the whole turn"),
        (
            ["a", "b", "Done.\nAction: c"],
            ["a", "b", "Done.\nAction: c"],
            "the whole turn, though some have an Action: line",
        ),
    ],
)
def test_how_actions_were_read_is_told(
    texts: list[str], actions: list[str], told: str, tmp_path: Path
) -> None:
    """One line in a summary blanks no other turn."""
    read = read_files(write(tmp_path / "a.jsonl", turns(*texts)), choices=Choices(reward=1.0))
    assert [step.action for step in read.reading.trajectories[0].steps] == actions
    assert read.found["action"] == {told: 1}


def test_where_no_turn_has_an_action_line_the_turn_is_the_action(tmp_path: Path) -> None:
    assert read_one(tmp_path, record(SILENT)).steps[0].action == "I am done."


def test_the_prompt_may_be_longer(tmp_path: Path) -> None:
    run = read_one(tmp_path, record(LOOK, SEEN, SILENT), prompt=4)
    assert [m.role for m in run.prompt] == ["system", "user", "assistant", "user"]
    assert len(run.steps) == 1
    last = read_one(tmp_path, record(LOOK, SEEN, SILENT), prompt=lambda said: len(said) - 1)
    assert last == run


def test_fields_are_found_or_named_and_it_is_told_where(tmp_path: Path) -> None:
    given = {"messages": [USER, SILENT], "meta": {"uid": 7, "won": True}, "a.b": {"c": 0.5}}
    file = write(tmp_path / "a.jsonl", given)
    read = read_files(file, choices=Choices(reward="meta.won", task="meta.uid"))
    assert [(t.task_id, t.total_return) for t in read.reading.trajectories] == [("7", 1.0)]
    assert read.found["reward"] == {"meta.won": 1} and read.found["task"] == {"meta.uid": 1}
    assert read_trajectories(file, reward="a.b.c")[0].total_return == 0.5
    assert read_trajectories(file, reward=lambda r: r["a.b"]["c"] * 2)[0].total_return == 1.0
    one, other = (
        read_trajectories(write(file, given | {"messages": [{**USER, "content": text}, SILENT]}),
                          reward=1)[0].task_id
        for text in ("Find the key.", "Find the box.")
    )  # fmt: skip
    assert one.startswith("task-") and one != other


@pytest.mark.parametrize("given", ["You play.", [{"type": "text", "text": "You play."}]])
@pytest.mark.parametrize("messages", [[USER, LOOK, SEEN], [SYSTEM, USER, LOOK, SEEN]])
def test_instructions_beside_the_messages_are_the_systems(
    messages: list[Any], given: Any, tmp_path: Path
) -> None:
    """As Anthropic's API has them; some write them into the messages too."""
    run = read_one(tmp_path, record(messages=messages, system=given))
    assert run.prompt == (Message("system", "You play."), Message("user", "Find the key."))
    assert run.info == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("You are X.", r"system beside the messages is not the system's message in them; .* take"),
        ([{"type": "image"}], r"system\[0\] is of the type 'image' and has no text"),
    ],
)
def test_instructions_that_are_in_doubt_are_refused(given: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=rf"a\.jsonl:1: {told}"):
        read_one(tmp_path, record(LOOK, SEEN, system=given))


def test_a_system_that_is_no_text_is_none_of_what_was_said(tmp_path: Path) -> None:
    run = read_one(tmp_path, record(LOOK, SEEN, system={"os": "linux"}))
    assert (len(run.prompt), run.info) == (2, {"system": {"os": "linux"}})


@pytest.mark.parametrize("name", ["sharegpt", "eto", "agenttraj"])
def test_instructions_beside_conversations_too(name: str, tmp_path: Path) -> None:
    loss = [{"loss": flag} if name == "agenttraj" else {} for flag in (None, False, None, True)]
    said = [("human", "Help me."), ("gpt", "OK"), ("human", "Find it."), ("gpt", "Action: look")]
    turns = [
        {"from": who, "value": value} | more for (who, value), more in zip(said, loss, strict=True)
    ]
    system = [{"type": "text", "text": "You play."}]
    given = {"conversations": turns, "system": system, "reward": 1, "item_id": "t", "id": "t"}
    run = read_one(tmp_path, given, format=name)
    assert run.prompt[0] == Message("system", "You play.")
    assert run.steps[-1].action == "look"
    assert "system" not in run.info


@pytest.mark.parametrize("name", ["messages", "sharegpt"])
@pytest.mark.parametrize("beside", ["You are X.", {"os": "linux"}])
def test_a_system_in_info_is_written_and_no_message(beside: Any, name: str, tmp_path: Path) -> None:
    run = Trajectory("t", (Message("user", "Go."),), (Step("a", "", "a"),), 1.0, "done")
    run = replace(run, info={"system": beside})
    write_trajectories(tmp_path / "a.jsonl", [run], format=name)
    assert read_trajectories(tmp_path / "a.jsonl") == [run]


@pytest.mark.parametrize("choice", [{}, {"task": "meta.t"}])
@pytest.mark.parametrize("given", [7, 7.0, "7"])
def test_a_task_of_a_whole_number_is_named_by_it(
    given: Any, choice: dict[str, Any], tmp_path: Path
) -> None:
    """Also as pandas writes a column of them that has gaps."""
    run = read_one(tmp_path, record(LOOK, SEEN, task_id=given, meta={"t": given}), **choice)
    assert run.task_id == "7"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (7.5, r"task_id is 7\.5; a task is named by a text or a whole number: name another field"),
        (2.0**53, r"task_id is 9007199254740992\.0; a task is named by"),  # 2**53 + 1, perhaps
        ({"id": 1}, r"task_id is \{'id': 1\}; .*: name a field in it, as (meta\.)?task_id\.id, or"),
        (["a"], r"task_id is \['a'\]; a task is named by"),
        (True, r"task_id is True; a task is named by"),
    ],
)
def test_what_names_no_task_is_refused_and_no_tasks_are_merged(
    given: Any, told: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.jsonl", record(task_id=given, meta={"task_id": given}))
    with pytest.raises(InvalidInput, match=rf"a\.jsonl:1: {told}"):
        read_trajectories(file)
    with pytest.raises(InvalidInput, match=rf"a\.jsonl:1: meta\.{told}"):
        read_trajectories(file, task="meta.task_id")
    assert len(read_files(file, on_error="skip").skipped) == 1


def test_a_part_of_what_names_the_task_is_chosen(tmp_path: Path) -> None:
    given = record(LOOK, SEEN, task_id={"id": 1.0})
    assert read_one(tmp_path, given, task="task_id.id").task_id == "1"


def test_an_error_is_no_failure(tmp_path: Path) -> None:
    run = read_one(tmp_path, {"messages": [USER, SILENT], "error": "Connection reset"})
    assert (run.status, run.origin.error) == ("error", "Connection reset")
    assert read_one(tmp_path, record(SILENT, truncated=True)).status == "truncated"


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (record(answer("c1", "x")), {"prompt": 2}, r":1: after the prompt of 2 messages comes one of"),
    (record(CALL), {"prompt": 3}, r":1: message 3, in the prompt, is a tool's or calls one"),
    (record(CALL, *[answer(None, "x")] * 3), {}, r":1: message 3: a tool answers a call that it"),
    ([1], {}, r"no JSON-lines file|of no known format"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "options", "reason"), REFUSED)
def test_what_cannot_be_read_is_refused_by_place(
    given: Any, options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_trajectories(write(tmp_path / "a.jsonl", given), **options)


def test_choices_for_our_own_records_count_or_are_refused(tmp_path: Path) -> None:
    own = Trajectory(
        "t", (Message("user", "Go."),), (), 0.0, "done", info={"score": 0.5, "id": "x"}
    )
    file = tmp_path / "own.jsonl"
    file.write_text(own.to_json() + "\n", encoding="utf-8")
    (read,) = read_trajectories(file, reward="info.score", task="info.id")
    assert (read.total_return, read.task_id) == (0.5, "x")
    with pytest.raises(InvalidInput, match=r"own\.jsonl:1: a record of ours says which"):
        read_trajectories(file, action="turn")
    journal = tmp_path / "episodes.journal"
    journal.touch()
    with pytest.raises(InvalidInput, match="a journal says everything itself"):
        read_trajectories(journal, reward=1.0)


def test_what_is_skipped_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", record(SILENT), {"messages": [USER]}, record(LOOK))
    own = [Trajectory(task, (), (), 0.0, "done").to_json() for task in ("a", "b")]
    (tmp_path / "b.jsonl").write_text("\n{}\n".join(own), encoding="utf-8")
    read = read_files(tmp_path, on_error="skip")
    assert [text.split(": ")[0] for text in read.skipped] == [
        f"{tmp_path / 'a.jsonl'}:2",
        f"{tmp_path / 'b.jsonl'}:2",
    ]
    assert sum(read.reading.files.values()) == 4
    with pytest.warns(FilesPassedOver, match=r"2 records were skipped; the first: .*a\.jsonl:2: "):
        read_trajectories(tmp_path, on_error="skip")


def test_a_folder_of_many_containers(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", record(SILENT))
    (tmp_path / "b.json").write_text(json.dumps([record(SILENT)], indent=1), encoding="utf-8")
    (tmp_path / "c.json").write_text(json.dumps({"version": 1}), encoding="utf-8")
    (tmp_path / "d.json").write_text("{", encoding="utf-8")
    (tmp_path / "e.json").write_text('{"a": 1}\n{"a": 2}', encoding="utf-8")
    read = read_files(tmp_path)
    assert [file.name for file in read.reading.files] == ["a.jsonl", "b.json"]
    assert {e.path.name: e.reason for e in read.reading.passed_over} == {
        "c.json": "of no known format (fields version)",
        "d.json": "nothing in it can be read",
        "e.json": "of no known format (fields a)",
    }
    for name, reason in (("c.json", "of no known format"), ("d.json", "not valid JSON")):
        with pytest.raises(InvalidInput, match=re.escape(name) + ".*" + reason):
            read_trajectories(tmp_path / name)


def test_damaged_containers_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for name, begin in (("a.parquet", b"PAR1"), ("a.arrow", b"ARROW1"), ("a.eval", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(begin + b"nothing of it")
        with pytest.raises(InvalidInput, match=rf"{re.escape(name)}: (cannot be read|a damaged)"):
            read_trajectories(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr("x.json", "{")
    with pytest.raises(InvalidInput, match=r"z\.zip: x\.json: not valid JSON"):
        read_trajectories(tmp_path / "z.zip")


BESIDE_SYSTEM = {
    "sharegpt": {"id": "t", "reward": 1.0},
    "eto": {"id": "t", "meta": {"steps": 1, "reward": 1.0, "finished": True, "success": True}},
    "agenttraj": {"item_id": "t", "reward": 1.0},
}


@pytest.mark.parametrize("name", list(BESIDE_SYSTEM))
def test_fields_are_kept_by_their_message_s_number_after_the_system_s(
    name: str, tmp_path: Path
) -> None:
    said = [
        {"from": "human", "value": "Find the key.", "loss": False},
        {"from": "gpt", "value": "Action: look", "loss": True, "note": "n"},
        {"from": "human", "value": "A key.", "loss": False},
    ]
    given = BESIDE_SYSTEM[name] | {"system": "Be brief.", "conversations": said}
    (run,) = read_trajectories(write(tmp_path / "a.jsonl", given), format=name)
    assert [message.role for message in run.prompt] == ["system", "user"]
    assert run.info["messages"]["2"]["note"] == "n"
    twice = given | {
        "conversations": [{"from": "system", "value": "Be long.", "loss": False}, *said]
    }
    with pytest.raises(InvalidInput, match="system beside the messages is not the system's"):
        read_trajectories(write(tmp_path / "b.jsonl", twice), format=name)


def test_places_are_the_record_s_own_beside_a_system(tmp_path: Path) -> None:
    given = {
        "reward": 1,
        "system": "Be brief.",
        "messages": [USER, {"role": "robot", "content": ""}],
    }
    with pytest.raises(InvalidInput, match="message 2 has the role 'robot'"):
        read_trajectories(write(tmp_path / "a.jsonl", given))
