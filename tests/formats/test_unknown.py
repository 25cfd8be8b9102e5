"""A record of no format: its fields are told, what wrote it where that is known, and the way in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support.mangled import VALUES

from w2stree import InvalidInput
from w2stree.formats.reading import read_files, read_trajectories
from w2stree.formats.unknown import why_unknown

SAID = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "Action: a"}]
RUN = {"messages": SAID, "task_id": "t", "reward": 1}
CLAUDE = {"parentUuid": None, "type": "user", "message": SAID[0], "uuid": "u", "sessionId": "s"}
ATIF = (
    r"make ATIF of the session by the package atif-make \(atif-make FILE -o session\.atif\.json\)"
)

TOLD: list[tuple[Any, str]] = [
    (CLAUDE, rf"fields are parentUuid, type, .*; a line of a session of Claude Code, .*{ATIF}"),
    ({"type": "summary", "summary": "x", "leafUuid": "u"}, rf"session of Claude Code, .*{ATIF}"),
    ({"type": "file-history-snapshot", "messageId": "m", "snapshot": {}}, "of Claude Code, which"),
    ({"timestamp": "1", "type": "session_meta", "payload": {}}, rf"a session of Codex, .*{ATIF}"),
    ({"task_id": "t", "history": SAID}, r"fields are task_id, history; it has messages at history"),
    ({"data": {"messages": SAID}}, r"messages at data\.messages: write all messages of its run at"),
    ({"a": SAID, "b": SAID}, r"it has messages at a, b: write"),
    (SAID[0] | {"run_id": 1}, r"fields are role, content, run_id; a message by itself: a run"),
    ({"version": 1, "runs": [RUN]}, r"runs holds records of chat messages .*jq -c '\.runs\[\]' F"),
    ({"a b": [RUN]}, r"a b holds records of chat messages \(OpenAI\): write each by itself \(docs"),
    ({"messages": [{"type": "human", "content": "x"}]},
     r"messages\[0\] has no role \(its fields are type, content\): LangChain's convert_to_open"),
    ({"messages": [{"from": "me", "content": "x"}]},
     r"messages\[0\] has no role \(its fields are from, content\): a message is its role and cont"),
    ({"messages": [], "reward": 1}, r"messages is empty: leave such runs out"),
    ({"run_type": "chain", "inputs": {}}, r"are run_type, inputs; docs/formats\.md has the"),
    ({"type": "user", "sessionId": "s"}, r"are type, sessionId; docs/formats\.md has the f"),
    ({}, r"its fields are none; docs/formats\.md has the formats .* how to write logs of one's"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "reason"), TOLD)
def test_it_is_told_what_it_is_and_the_way_in(record: Any, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=rf"a\.jsonl:1: of no known format: .*{reason}") as told:
        read_trajectories(file)
    assert "docs/formats.md" in str(told.value)
    (skipped,) = read_files(file, on_error="skip").skipped
    assert skipped == str(told.value)


def test_of_a_later_record_too(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(f"{json.dumps(RUN)}\n{json.dumps({'history': SAID})}\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"a\.jsonl:2: no record of .*; it has messages at hist"):
        read_trajectories(file)


@given(VALUES)
def test_any_json_is_told(value: Any) -> None:
    assert why_unknown(value).startswith("of no known format: it")


def written(folder: Path, text: str, name: str = "a.jsonl") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


LOGGED = [
    ("a.jsonl", json.dumps(SAID), 1),
    ("a.json", json.dumps(SAID), 1),
    ("a.jsonl", f"{json.dumps(SAID)}\n{json.dumps(SAID * 2)}", 2),
    ("a.json", json.dumps({"runs": [RUN]}, indent=1), 1),
    ("a.json", json.dumps([SAID, SAID * 2]), 2),
]


@pytest.mark.parametrize(("name", "text", "count"), LOGGED)
def test_the_way_leads_in(name: str, text: str, count: int, tmp_path: Path) -> None:
    file = written(tmp_path, text, name)
    with pytest.raises(InvalidInput) as refused:
        read_trajectories(file, reward=1.0)
    told = re.search(r"jq -c '(.+?)' FILE", str(refused.value))
    assert told is not None, refused.value
    made = written(tmp_path, by_jq("-c", told[1], str(file)), "NEW.jsonl")
    assert [bool(run.steps) for run in read_trajectories(made, reward=1.0)] == [True] * count


def by_jq(*arguments: str) -> str:
    if shutil.which("jq") is None:
        pytest.skip("needs jq")
    ran = subprocess.run(["jq", *arguments], capture_output=True, check=True)
    return ran.stdout.decode()


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text("utf-8")
EVENTS = [{"run_id": run, "step": i, **said} for run in ("r1", "r2") for i, said in enumerate(SAID)]


@pytest.mark.parametrize(
    ("logs", "text", "count"),
    [
        ("an array of messages", json.dumps(SAID), 1),
        ('`{"runs"', json.dumps({"runs": [RUN, RUN | {"task_id": "u"}]}), 2),
        ("messages at another key", json.dumps({"history": SAID, "task_id": "t", "reward": 1}), 1),
        ("a line a message", "\n".join(map(json.dumps, EVENTS)), 2),
    ],
)
def test_the_ways_of_the_page_lead_in(logs: str, text: str, count: int, tmp_path: Path) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {logs}")]
    way = re.search(r"`jq (-s?c) '(.+?)' FILE", row.replace("\\|", "|"))
    assert way is not None
    made = written(tmp_path, by_jq(way[1], way[2], str(written(tmp_path, text))), "NEW.jsonl")
    runs = read_trajectories(made, reward=1.0)
    assert [len(run.steps) for run in runs] == [1] * count


def test_the_page_shows_a_record_of_ours(tmp_path: Path) -> None:
    """The JSON that it shows is the run that its program writes, but for fields left out."""
    (shown,) = [line for line in PAGE.splitlines() if line.startswith('{"task_id": "7"')]
    (run,) = read_trajectories(written(tmp_path, shown))
    assert (run.steps[0].action, run.total_return) == ("look", 1.0)
