"""tau2-bench's results: a greeting that no model said, a user with tools of his own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support.mangled import mangled
from support.tau2_bench_runs import GREETING, MESSAGES, POLICY, message, results, simulation

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory, build_forest
from w2stree.formats import tau2_bench
from w2stree.formats.reader import Reader
from w2stree.formats.reading import read_files, read_trajectories, recognised

CALL = ToolCall("cancel", '{"order":"A1"}', "call_cancel")


def read(**changes: Any) -> Trajectory:
    (run,) = tau2_bench.runs(results(simulation(**changes)), "here", Reader())
    return run


def test_a_run_begins_after_the_greeting_and_has_what_the_agent_saw() -> None:
    run = read()
    assert run.prompt == (
        Message("system", POLICY),
        Message("assistant", GREETING),
        Message("user", "Cancel my order, please."),
    )
    assert run.steps == (
        Step('cancel {"order":"A1"}', '{"status": "cancelled"}', "", tool_calls=(CALL,)),
        Step("Please restart your phone.", "Done.", "Please restart your phone."),
        Step("It is cancelled.", "###STOP###", "It is cancelled."),
    )
    assert (run.task_id, run.total_return, run.status) == ("airline/3", 1.0, "done")
    assert run.origin.policy == "gpt-4.1"


def test_what_the_agent_did_not_see_is_kept() -> None:
    info = read().info
    assert info["tools_of_the_user"] == {"5": MESSAGES[5], "6": MESSAGES[6]}
    assert info["simulation"]["trial"] == 0
    assert info["simulation"]["reward_info"]["db_check"] == {"db_match": True, "db_reward": 1.0}
    assert info["messages"]["2"]["usage"] == MESSAGES[2]["usage"]


@pytest.mark.parametrize(
    ("reason", "status", "told"),
    [
        ("user_stop", "done", None),
        ("agent_stop", "done", None),
        ("agent_error", "done", None),
        ("max_steps", "truncated", None),
        ("too_many_errors", "truncated", "too_many_errors"),
        ("infrastructure_error", "error", "infrastructure_error"),
        ("context_window_exceeded", "error", "context_window_exceeded"),
    ],
)
def test_how_a_run_ended(reason: str, status: str, told: str | None) -> None:
    run = read(termination_reason=reason)
    assert run.status == status
    assert told in (run.origin.truncated_by, run.origin.error)


def test_an_agent_alone_begins_with_its_first_call() -> None:
    alone = [MESSAGES[2], MESSAGES[3], message("assistant", "###STOP###", 2)]
    for usage in ({"prompt_tokens": 1}, None):
        run = read(messages=[MESSAGES[2] | {"usage": usage}, *alone[1:]])
        assert run.prompt == (Message("system", POLICY),)
        assert len(run.steps) == 2


def test_a_file_of_all_and_a_folder_of_each_are_one(tmp_path: Path) -> None:
    refusing = [*MESSAGES[:2], message("assistant", "I cannot.", 2, usage=MESSAGES[2]["usage"])]
    won, lost = (
        simulation(id=name, reward_info={"reward": reward}, trial=trial, messages=messages)
        for name, reward, trial, messages in (("5f", 1.0, 0, MESSAGES), ("6a", 0.0, 1, refusing))
    )
    (tmp_path / "results.json").write_text(json.dumps(results(won, lost), indent=2))
    read = read_files(tmp_path)
    assert read.formats == {tmp_path / "results.json": "tau2_bench"}
    assert read.reading.places[1] == f"{tmp_path / 'results.json'}: simulations[1]"
    assert len(build_forest(read.reading.trajectories).pairs()) == 1

    whole = results()
    del whole["simulations"]
    index = [{"id": s["id"], "task_id": s["task_id"], "trial": s["trial"]} for s in (won, lost)]
    (tmp_path / "results.json").write_text(json.dumps(whole | {"simulation_index": index}))
    (tmp_path / "simulations").mkdir()
    for one in (won, lost):
        file = tmp_path / "simulations" / f"{one['id']}.json"
        file.write_text(json.dumps(one, indent=2))
    assert read_trajectories(tmp_path, recursive=True) == list(read.reading.trajectories)
    assert read_trajectories(tmp_path / "simulations") == list(read.reading.trajectories)


def in_a_folder(folder: Path, ids: list[str], indexed: list[str] | None) -> Path:
    """Runs as files of their own, and the results beside them, unless there are none."""
    (folder / "simulations").mkdir()
    for name in ids:
        file = folder / "simulations" / f"{name}.json"
        file.write_text(json.dumps(simulation(id=name), indent=2))
    if indexed is not None:
        whole = results()
        del whole["simulations"]
        index = [{"id": name, "task_id": "3", "trial": 0} for name in indexed]
        (folder / "results.json").write_text(json.dumps(whole | {"simulation_index": index}))
    return folder


def test_runs_without_their_results_say_so(tmp_path: Path) -> None:
    """Without the domain the ids of two domains' tasks are the same."""
    read = read_files(in_a_folder(tmp_path, ["5f", "6a"], None), recursive=True)
    assert [run.task_id for run in read.reading.trajectories] == ["3", "3"]
    told = {"not beside the runs: neither domain nor policy is known": 2}
    assert read.found["results.json"] == told


def test_a_folder_is_what_its_index_names(tmp_path: Path) -> None:
    in_a_folder(tmp_path, ["5f", "6a"], ["5f", "6a", "7b"])
    message = r"results\.json: simulation_index names 1 simulations that .*, the first '7b': copy"
    with pytest.raises(InvalidInput, match=message):
        read_files(tmp_path, recursive=True)
    read = read_files(tmp_path, recursive=True, on_error="skip")
    assert (len(read.reading.trajectories), len(read.skipped)) == (2, 1)


def test_a_run_of_other_results_is_refused(tmp_path: Path) -> None:
    in_a_folder(tmp_path, ["5f", "6a"], ["5f"])
    with pytest.raises(InvalidInput, match=r"6a\.json: results\.json beside it does not name it"):
        read_files(tmp_path, recursive=True)
    read = read_files(tmp_path, recursive=True, on_error="skip")
    assert (len(read.reading.trajectories), len(read.skipped)) == (1, 1)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": None}, r"here: has no messages: spoken runs \(ticks\) are not read"),
    ({"messages": {}}, r"here: messages is dict; expected an array"),
    ({"messages": ["x"]}, r"here: messages\[0\] is str; expected an object"),
    ({"messages": [*MESSAGES[:4], message("user", "aGk=", 4, is_audio=True)]},
     r"here: messages\[4\]: is sound, and only texts can be read: .*--on-error skip"),
    ({"messages": [*MESSAGES[:3], MESSAGES[3] | {"id": "c9"}]}, r"a tool answers a call 'c9' that"),
    ({"messages": [*MESSAGES[:2], MESSAGES[2] | {"tool_calls": [{"name": "a b"}]}]},
     r"here: messages\[2\]: tool_calls\[0\]: a tool's name is 'a b'"),
    ({"messages": [message("robot", "x", 0)]}, r"message 2 has the role 'robot'; use system, user"),
    ({"termination_reason": "bored"},
     r"here: termination_reason is 'bored'; known are user_stop, agent_stop, .*--on-error skip"),
    ({"termination_reason": None}, r"here: termination_reason is None; known are user_stop"),
    ({"reward_info": None}, r"here: no reward at reward_info\.reward; its fields are id, .*rewar"),
    ({"reward_info": {"reward": "high"}}, r"here: reward_info\.reward is 'high'; expected a fini"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "told"), BAD)
def test_what_is_no_run_is_refused_by_its_place(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"^here.*{told.removeprefix('here')}"):
        read(**changes)


def test_other_formats_are_not_taken_for_it() -> None:
    for record in ({"simulations": []}, {"info": {}, "tasks": []}, {"id": 1, "task_id": 1}, [], 1):
        assert not tau2_bench.recognises(record)
    for record in (results(simulation()), simulation(), results()):
        assert recognised(record) is tau2_bench.FORMAT


@given(mangled([results(simulation()), simulation()]))
def test_nearly_right_records_are_read_or_refused(record: Any) -> None:
    for where, one in tau2_bench.gather([("here", record)]):
        if not tau2_bench.recognises(one):
            continue
        try:
            (run,) = tau2_bench.runs(one, where, Reader())
        except InvalidInput as error:
            assert str(error).startswith("here")
        else:
            assert Trajectory.from_json(run.to_json()) == run
