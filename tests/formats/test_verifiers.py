"""Rollouts and traces of verifiers: tasks, endings, weighted rewards, the branch that is a run."""

from __future__ import annotations

from typing import Any

import pytest
from support.foreign_run import PROMPT, STEPS, THOUGHT
from support.foreign_runs import verifiers_episode, verifiers_rollout

from w2stree import Message, Trajectory
from w2stree.formats.reader import Reader
from w2stree.formats.verifiers import recognises, record_of, runs


def read(record: dict[str, Any]) -> Trajectory:
    (run,) = runs(record, "here", Reader())
    return run


def trace(**changes: Any) -> dict[str, Any]:
    episode = verifiers_episode()
    episode["traces"] = [episode["traces"][0] | changes]
    return episode


def test_a_rollout_is_written_as_vf_eval_saves_it() -> None:
    written = record_of(read(verifiers_rollout()))
    given = verifiers_rollout()
    assert written["prompt"] == given["prompt"]
    assert [m["content"] for m in written["completion"]] == [
        m["content"] for m in given["completion"]
    ]
    assert written["completion"][0]["reasoning_content"] == THOUGHT
    assert isinstance(written["completion"][0]["tool_calls"][0], str)
    assert {k: written[k] for k in ("metrics", "timing", "stop_condition")} == {
        k: given[k] for k in ("metrics", "timing", "stop_condition")
    }
    assert read(written) == read(given)


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"is_truncated": True}, "truncated", "no_tools_called"),
        ({"is_truncated": True, "stop_condition": None}, "truncated", None),
        ({"stop_condition": "max_turns_reached"}, "truncated", None),
        ({"error": {"error": "ModelError"}, "reward": None}, "error", "{'error': 'ModelError'}"),
    ],
)
def test_what_ended_a_rollout(changes: dict[str, Any], status: str, told: str | None) -> None:
    run = read(verifiers_rollout() | changes)
    assert run.status == status
    assert (run.origin.error or run.origin.truncated_by) == told


def test_the_number_of_an_example_is_one_of_its_environment() -> None:
    assert read(verifiers_rollout() | {"task": "wordle"}).task_id == "wordle/7"
    assert read(verifiers_rollout() | {"task": "default", "example_id": "x"}).task_id == "x"


def test_a_prompt_and_its_completion_may_be_texts() -> None:
    run = read({"example_id": 1, "prompt": "2+2=", "completion": "4", "reward": 1.0})
    assert run.prompt == (Message("user", "2+2="),)
    assert [step.response for step in run.steps] == ["4"]
    prompt, completion = ([{"role": "text", "content": text}] for text in ("2+2=", "4"))
    texts = {"example_id": 1, "prompt": prompt, "completion": completion, "reward": 1.0}
    assert (read(texts).prompt, read(texts).steps) == (run.prompt, run.steps)


def test_turns_of_the_prompt_are_no_steps() -> None:
    given = verifiers_rollout()
    given["prompt"] += [
        {"role": "assistant", "content": "Oslo?"},
        {"role": "user", "content": "Yes."},
    ]
    run = read(given)
    assert [m.role for m in run.prompt] == ["system", "user", "assistant", "user"]
    assert run.steps == STEPS
    assert read(record_of(run)) == run


def test_the_last_branch_of_a_trace_is_the_run_and_the_others_stay() -> None:
    run = read(verifiers_episode())
    assert run.prompt == PROMPT
    assert run.info["other_branches"]["3"]["message"]["content"] == "Hm."
    assert run.info["env"] == {"id": "weather"} and run.info["metrics"] == {"turns": 2.0}


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"stop_condition": "max_turns"}, "truncated", None),
        ({"stop_condition": "max_total_tokens"}, "truncated", "max_total_tokens"),
        ({"ok": False, "errors": [{"type": "ProviderError", "message": "x"}], "rewards": {}},
         "error", "ProviderError"),
        ({"ok": True, "errors": [{"type": "mended", "message": "x"}]}, "done", None),
    ],
)  # fmt: skip
def test_what_ended_a_trace(changes: dict[str, Any], status: str, told: str | None) -> None:
    run = read(trace(**changes))
    assert run.status == status
    assert (run.origin.error or run.origin.truncated_by) == told


def test_a_trace_of_another_agent_is_another_task() -> None:
    assert read(trace(agent={"name": "solver", "trainable": True})).task_id == "weather/7/solver"
    keyed = trace(task={"type": "T", "data": {}, "key": "3f2a"})
    assert read(keyed).task_id == "weather/3f2a"


def test_rows_of_preferences_are_not_taken() -> None:
    for record in (
        {"prompt": "x", "chosen": "y", "rejected": "z"},
        {"prompt": [{"role": "user", "content": "x"}], "completion": []},
        {"prompt": "x", "completion": 3, "reward": 1},
        {"traces": [1], "task": {}},
    ):
        assert not recognises(record)
