"""ATIF: what is a run's in it, what a Harbor trial says beside it, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.foreign_run import ANSWER, STEPS, THOUGHT
from support.foreign_runs import atif_document

from w2stree import InvalidInput, Trajectory
from w2stree.formats.atif import record_of, runs
from w2stree.formats.reader import Reader
from w2stree.formats.reading import read_files, read_trajectories

RESULT = {
    "task_name": "oslo",
    "trial_name": "oslo__1",
    "agent_info": {"name": "helper", "version": "1.0"},
    "verifier_result": {"rewards": {"reward": 0.75}},
    "exception_info": None,
    "reward_valid": True,
}


def read(document: dict[str, Any]) -> Trajectory:
    (run,) = runs(document, "here", Reader())
    return run


def trial(folder: Path, **changes: Any) -> Path:
    """A trial's folder as Harbor leaves it, the run without a reward of its own."""
    (folder / "agent").mkdir(parents=True)
    document = atif_document()
    del document["extra"]
    (folder / "agent/trajectory.json").write_text(json.dumps(document, indent=2))
    (folder / "result.json").write_text(json.dumps(RESULT | changes))
    (folder / "config.json").write_text(json.dumps({"task": {"path": "x"}}))
    return folder


def test_what_was_read_is_written_as_it_was() -> None:
    document = atif_document()
    document["steps"][1]["message"] = document["steps"][1]["message"][0]["text"]
    results = document["steps"][2]["observation"]["results"]
    results[1]["content"] = results[1]["content"][0]["text"]
    assert record_of(read(document)) == document


def test_what_is_no_run_of_it_stays_in_info() -> None:
    info = read(atif_document()).info
    assert info["agent"]["name"] == "helper" and info["final_metrics"]["total_steps"] == 4
    assert info["steps"]["2"]["reasoning_content"] == THOUGHT
    assert info["steps"]["2"]["metrics"] == {"prompt_tokens": 9, "completion_tokens": 2}
    assert info["steps"]["2"]["tool_calls"] == {"1": {"extra": {"retry": 1}}}


def test_a_job_of_harbor_has_its_tasks_and_rewards_beside_its_runs(tmp_path: Path) -> None:
    trial(tmp_path / "oslo__1")
    trial(tmp_path / "oslo__2", verifier_result={"rewards": {"reward": 0.0}})
    given = read_files(tmp_path, recursive=True)
    assert [(t.task_id, t.total_return) for t in given.reading.trajectories] == [
        ("oslo", 0.75),
        ("oslo", 0.0),
    ]
    assert {entry.path.name for entry in given.reading.passed_over if entry.path.is_file()} == {
        "config.json",
        "result.json",
    }


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({}, "truncated", ("truncated_by", "AgentTimeoutError")),
        ({"verifier_result": None}, "error", ("error", "AgentTimeoutError")),
        ({"reward_valid": False}, "error", ("error", "AgentTimeoutError")),
    ],
)
def test_a_trial_that_was_cut_short_is_judged_or_says_nothing(
    changes: dict[str, Any], status: str, told: tuple[str, str], tmp_path: Path
) -> None:
    failed = {"exception_type": "AgentTimeoutError", "exception_message": "900 s"}
    (run,) = read_trajectories(
        trial(tmp_path / "t", exception_info=failed, **changes) / "agent/trajectory.json"
    )
    assert run.status == status
    assert getattr(run.origin, told[0]) == told[1]


def test_logs_that_are_no_run_of_the_task_are_told(tmp_path: Path) -> None:
    folder = trial(tmp_path / "t")
    main = folder / "agent/trajectory.json"
    summary = folder / "agent/trajectory.summarization-1-summary.json"
    summary.write_bytes(main.read_bytes())
    with pytest.raises(InvalidInput, match=r"summary\.json: the log of an agent that summarised"):
        read_trajectories(folder / "agent")
    skipping = read_files(folder / "agent", on_error="skip")
    assert (len(skipping.reading.trajectories), len(skipping.skipped)) == (1, 1)
    (folder / "result.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"trajectory\.json: its trial cannot be read: .*result"):
        read_trajectories(main)


def test_turns_copied_from_another_run_are_its_prefix() -> None:
    document = atif_document()
    document["steps"][2]["is_copied_context"] = True
    run = read(document)
    assert (run.origin.prefix_length, len(run.steps)) == (1, 2)
    assert record_of(run)["steps"][2]["is_copied_context"] is True
    assert read(record_of(run)) == run
    document["steps"][3]["is_copied_context"] = True
    document["steps"][2]["is_copied_context"] = False
    with pytest.raises(InvalidInput, match=r"here: turns copied from another run"):
        read(document)


def test_ids_of_several_calls_of_a_model_are_no_turns() -> None:
    document = atif_document()
    document["steps"][2]["llm_call_count"] = 2
    run = read(document)
    assert run.steps[0] == STEPS[0]
    assert run.info["steps"]["2"]["metrics"]["completion_token_ids"] == [5, 7]


def test_what_the_world_says_beside_the_answers_is_observed() -> None:
    document = atif_document()
    document["steps"][2]["observation"]["results"].append({"content": "A bell rings."})
    document["steps"].insert(3, {"step_id": 4, "source": "user", "message": "And tomorrow?"})
    document["steps"][4]["step_id"] = 5
    run = read(document)
    assert run.steps[0].observation == "Rain.\nNoon.\nA bell rings.\nAnd tomorrow?"
    assert run.steps[1].response == ANSWER
    assert read(record_of(run)) == run


def test_a_document_is_one_of_the_published_schema() -> None:
    atif = pytest.importorskip("atif")
    atif.Trajectory.model_validate(atif_document())
    atif.Trajectory.model_validate(record_of(read(atif_document())))
