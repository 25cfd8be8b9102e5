"""What a game answers becomes typed values, or one error that says what was wrong and where."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2stree.environments.answers import checked
from w2stree.environments.hosting.messages import decode, encode
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.environments.protocol import ExpertTurn, Snapshot
from w2stree.errors import EnvironmentFailure

INFO = {"score": 0.5, "admissible_actions": ["go"]}


def test_what_is_right_comes_typed() -> None:
    assert checked("reset", ["start", INFO]) == ("start", INFO)
    more = {**INFO, "raw_score": 7, "multi_line": True, "seen": [1]}
    answer = checked("step", ["on", 1, False, True, more])
    assert answer == ("on", 1.0, False, True, {**INFO, "raw_score": 7.0, "multi_line": True})
    assert type(answer[1]) is type(answer[4]["raw_score"]) is float
    assert checked("expert", [{"thought": "", "action": "go"}]) == [ExpertTurn("", "go")]
    assert checked("tasks", ["a", "b"]) == ["a", "b"]
    snapshot = {"task_id": "a", "actions": ["go"], "observations": ["on"]}
    assert checked("snapshot", snapshot) == Snapshot("a", ("go",), ("on",))
    assert checked("close", None) is None


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("reset", ["start"], "reset: it answered 1 values; expected statement and info"),
        ("restore", [5, INFO], "restore: observation is int; expected a string"),
        ("step", ["on", math.nan, False, False, INFO], "step: reward is nan; expected a finite"),
        ("step", ["on", 1.0, 0, False, INFO], "step: terminated is 0; expected true or false"),
        ("step", ["on", 1.0, False, False, {}], "step: info has no 'score'"),
        ("reset", ["", {**INFO, "score": 2}], r"info\['score'\] is 2; an adapter puts it on"),
        ("expert", [{"thought": ""}], "expert: turn 0 is .*; expected an ExpertTurn"),
        ("expert", [{"thought": "", "action": 1}], r"turn 0\.action is int; expected a string"),
        ("tasks", "ab", "tasks: tasks is str; expected an array"),
        ("tasks", ["a", 1], r"tasks\[1\] is int; expected a string"),
        (
            "tasks",
            ["a", "b", "a"],
            r"task 'a' is listed twice, as tasks\[0\] and tasks\[2\]",
        ),
        ("snapshot", {"task_id": "a"}, "expected a Snapshot"),
        (
            "snapshot",
            {"task_id": "a", "actions": ["go"], "observations": []},
            "snapshot of a: 1 actions but 0 observations",
        ),
    ],
)
def test_what_is_wrong_is_named(method: str, answer: Any, told: str) -> None:
    with pytest.raises(EnvironmentFailure, match=told):
        checked(method, answer)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from(["reset", "restore", "step", "expert", "tasks", "snapshot"]), VALUES)
def test_anything_else_is_one_error(method: str, answer: Any) -> None:
    try:
        typed = checked(method, answer)
    except EnvironmentFailure as failure:
        assert str(failure).startswith(f"{method}: ")
        assert len(str(failure)) < 500
    else:
        assert typed == [] or method == "tasks"


@given(st.text(st.characters(codec=None)), st.lists(st.text(st.characters(codec=None))))
def test_every_text_passes_the_pipe_as_it_is(text: str, more: list[str]) -> None:
    message = ["ok", {"text": [text, {"more": more}], "turn": [1.5, None]}]
    assert decode(encode(message)) == message


class Twice:
    """Lists a task twice."""

    def tasks(self, split: str) -> list[str]:
        return ["a", "b", "a"]

    def close(self) -> None:
        pass


def test_tasks_listed_twice_are_refused_where_they_are_asked_for() -> None:
    told = r"\(Twice\): tasks: task 'a' is listed twice"
    with (
        EnvironmentProcess(Twice) as process,  # type: ignore[arg-type]
        pytest.raises(EnvironmentFailure, match=told),
    ):
        process.call("tasks", "train")
