"""One opening for the runs of a task: what is shown of the difference, and what is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from w2stree import Message, Step, Trajectory
from w2stree.formats.openings import with_one_opening
from w2stree.formats.reader import Reader
from w2stree.formats.reading import read_trajectories

SYSTEM = "You are an agent. " * 5


def run(*said: tuple[str, str], task_id: str = "t", status: str = "done") -> Trajectory:
    prompt = tuple(Message(role, text) for role, text in said)  # type: ignore[arg-type]
    return Trajectory(task_id, prompt, (Step("look", "A cup."),), 1.0, status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            [("system", SYSTEM + "It is Tuesday."), ("user", "Go.")],
            "message 1 is 'gent. You are an agent. It is Monday.', another's "
            "'gent. You are an agent. It is Tuesday.'",
        ),
        ([("system", SYSTEM + "It is Monday.")], "has 2 messages, another 1"),
        (
            [("system", SYSTEM + "It is Monday."), ("assistant", "Go.")],
            "message 2 is the user's, another's the assistant's",
        ),
    ],
)
def test_the_difference_is_shown(other: list[tuple[str, str]], told: str) -> None:
    reader = Reader()
    first = run(("system", SYSTEM + "It is Monday."), ("user", "Go."))
    own, given = with_one_opening([first, run(*other)], reader)
    assert own is first
    assert given.prompt == first.prompt
    assert given.info["opening"] == [{"role": role, "content": text} for role, text in other]
    (its_own, its_firsts) = reader.found["opening"]
    assert its_own == "its own"
    assert its_firsts == f"its task's first: of task 't' {told}"


def test_other_tasks_and_error_rows_are_left_alone() -> None:
    runs = [
        run(("user", "a"), status="error"),
        run(("user", "b")),
        run(("user", "c"), task_id="u"),
        run(("user", "d"), status="error"),
    ]
    assert with_one_opening(runs, Reader()) == runs


def test_it_holds_for_files_of_ours_and_across_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(run(("user", name)).to_json() + "\n")
    record = {"task_id": "t", "reward": 0.0, "messages": [{"role": "user", "content": "c"}]}
    (tmp_path / "c.jsonl").write_text(json.dumps(record) + "\n")
    runs = read_trajectories(tmp_path, one_opening=True)
    assert [r.prompt for r in runs] == [(Message("user", "a"),)] * 3
