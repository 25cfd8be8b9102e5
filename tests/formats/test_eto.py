"""ETO's files: explored runs, the expert's list, and what it takes to write them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support.eto_runs import (
    EXAMPLE,
    ended_by_error,
    expert,
    explored,
    opening,
    said,
    write_outputs,
)
from support.mangled import mangled
from support.played_runs import CUP, LOOK, RUNS

from w2stree import InvalidInput, Message, Origin, Step, ToolCall, Trajectory, build_forest
from w2stree.formats import eto
from w2stree.formats.reader import Choices, Reader
from w2stree.formats.reading import read_files, read_trajectories, recognised
from w2stree.formats.writing import write_trajectories

WON, LOST, CUT = RUNS
GAME = "/data/json_2.1.1/train/pick_cup-Cup-None-Shelf-1/trial_T2019/game.tw-pddl"


def read(record: Any, where: str = "12.json", **choices: Any) -> Trajectory:
    (run,) = eto.runs(record, where, Reader(Choices(**choices)))
    return run


def test_an_explored_run_begins_after_the_example() -> None:
    run = read(explored(WON))
    assert [m.role for m in run.prompt] == ["user", "assistant"] * 3 + ["user"]
    assert run.prompt[-1] == Message("user", "Take the cup.")
    assert run.prompt[3].content == EXAMPLE[0].said
    assert run.steps == tuple(
        Step(turn.action, f"Observation: {turn.answer}", turn.said) for turn in (LOOK, CUP)
    )
    assert (run.task_id, run.total_return, run.status) == ("12", 1.0, "done")


def test_an_experts_run_begins_after_ok() -> None:
    run = read(expert(WON))
    assert [m.content for m in run.prompt] == [WON.instruction, "OK", "Take the cup."]
    assert [step.action for step in run.steps] == ["look", "take cup"]
    assert run.steps[-1].observation == ""
    assert (run.task_id, run.total_return, run.info) == ("kitchen_1", 1.0, {})


def test_what_stands_beside_a_message_is_kept() -> None:
    record = expert(WON)
    record["conversations"][3]["weight"] = 0.5
    run = read(record)
    assert run.info == {"messages": {"3": {"weight": 0.5}}}
    assert read(eto.record_of(run)) == run


def test_an_experts_run_without_a_reward_is_given_one_by_choice_only() -> None:
    record = expert(WON, with_reward=False)
    with pytest.raises(InvalidInput, match=r"no reward at .*id, conversations.*reward=1\.0"):
        read(record)
    assert read(record, reward=1.0).total_return == 1.0


def test_the_expert_and_the_explorers_of_a_game_of_alfworld_have_one_task() -> None:
    record = explored(WON, game_file=GAME)
    record["meta"]["reward"] = True
    run = read(record)
    game = GAME.rpartition("/")[0]
    demonstrated = read(expert(WON) | {"game_file": game})
    assert run.task_id == demonstrated.task_id == "trial_T2019"
    assert run.total_return == 1.0
    assert run.info["meta"]["error"] == GAME


@pytest.mark.parametrize(
    ("changes", "status", "origin"),
    [
        ({}, "truncated", Origin()),
        ({"terminate_reason": "exceeding maximum input length"}, "truncated", None),
        ({"terminate_reason": "success"}, "done", Origin()),
        ({"terminate_reason": None, "finished": False}, "truncated", Origin()),
        ({"reward": None}, "error", Origin(error="max_steps")),
    ],
)
def test_how_a_run_ended(changes: dict[str, Any], status: str, origin: Origin | None) -> None:
    record = explored(CUT)
    record["meta"].update(changes)
    run = read(record)
    assert run.status == status
    assert origin is None or run.origin == origin


def test_a_run_that_nothing_was_rewarded_of_says_nothing_of_the_task() -> None:
    run = read(ended_by_error(WON))
    assert (run.status, run.origin.error) == ("error", "exceeding maximum input length")


def test_a_folder_of_models_is_trees_of_tasks(tmp_path: Path) -> None:
    read = read_files(write_outputs(tmp_path), recursive=True)
    runs = read.reading.trajectories
    assert set(read.formats.values()) == {"eto"}
    assert read.found["task"] == {"the file's name": 3}
    assert read.found["prompt"] == {"as the format says": 3}
    assert read.found["reward"] == {"meta.reward": 3}
    forest = build_forest(runs)
    assert sorted(forest) == ["kitchen_1", "kitchen_2"]
    (pair,) = forest.pairs(min_gap=0.5)
    assert pair.gap == 1.0


def test_compact_or_indented_a_file_is_named_alike(tmp_path: Path) -> None:
    for model, indent in (("a", None), ("b", 4)):
        (tmp_path / model).mkdir()
        text = json.dumps(explored(WON if indent else LOST), indent=indent)
        (tmp_path / model / "12.json").write_text(text, encoding="utf-8")
    runs = read_trajectories(tmp_path, recursive=True)
    assert [run.task_id for run in runs] == ["12", "12"]


def test_a_list_of_the_experts(tmp_path: Path) -> None:
    file = tmp_path / "webshop_sft.json"
    file.write_text(json.dumps([expert(WON), expert(CUT)], indent=2))
    assert [run.task_id for run in read_trajectories(file)] == ["kitchen_1", "kitchen_2"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_what_is_written_is_read_back_equal(name: str, tmp_path: Path) -> None:
    step = Step("look", "A cup.", "I look.\nAction: look", (1, 2), (-0.5, -1.0), 0.25)
    runs = [
        read(explored(WON)),
        read(explored(CUT, game_file=GAME)),
        read(expert(WON)),
        Trajectory(
            "t", (Message("user", "Go."),), (step,), 0.5, "truncated", Origin(seed=3), {"x": [1]}
        ),
        Trajectory("t", (Message("user", "Go."),), (), 0.0, "error", Origin(error="down")),
    ]
    write_trajectories(tmp_path / name, runs, format="eto")
    assert read_trajectories(tmp_path / name) == runs


def test_what_etos_own_reader_takes_of_what_is_written() -> None:
    """`State.load_json`, and `construct_preference`, which counts two messages a step."""
    record = eto.record_of(read(explored(LOST)))
    assert set(record["meta"]) == {
        *("steps", "reward", "finished", "success", "terminate_reason", "error")
    }
    assert record["conversations"] == opening(LOST) + said(LOST.turns)
    assert record["meta"]["reward"] == 0.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: replace(t, prompt=(Message("system", "s"), *t.prompt)), "of system, user"),
        (lambda t: replace(t, prompt=()), "of no messages"),
        (
            lambda t: replace(t, steps=(Step("f {}", "", tool_calls=(ToolCall("f"),)),)),
            "it has tool calls",
        ),
        (lambda t: replace(t, steps=(Step("look", "A cup."),)), "no response"),
    ],
)
def test_what_eto_has_no_place_for_is_refused(change: Any, reason: str) -> None:
    run = Trajectory("t", (Message("user", "Go."),), (), 1.0, "done")
    with pytest.raises(InvalidInput, match=f"task 't'.*{reason}"):
        eto.record_of(change(run))


META = {"steps": 2, "reward": 1.0, "error": None}

BAD: list[tuple[dict[str, Any], str]] = [
    ({"meta": []}, r"meta is list; expected an object"),
    (
        {"meta": {"steps": 9, "reward": 1, "error": None}},
        r"meta\.steps is 9, .*\(prompt=, --prompt",
    ),
    ({"meta": META | {"steps": 1.5}}, r"meta\.steps is 1\.5, which .*\(prompt=, --prompt\)"),
    (
        {"meta": {"steps": 1, "reward": "1", "error": None}},
        r"meta\.reward is '1'; expected a finite",
    ),
    ({"conversations": {}}, r"conversations is dict; expected an array"),
    ({"conversations": [{"from": "human"}]}, r"conversations\[0\]: value is NoneType"),
    ({"conversations": ["hello"]}, r"conversations\[0\] is str; expected an object"),
    ({"conversations": [{"from": "bot", "value": ""}]}, r"\[0\] is from 'bot'; use human, gpt"),
]


@pytest.mark.parametrize(("change", "told"), BAD)
def test_what_is_no_run_is_refused_by_its_place(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=f"^here.*{told}") as refused:
        read(explored(WON) | change, "here")
    assert type(refused.value) is InvalidInput


def test_other_formats_are_not_taken_for_it() -> None:
    plain = {"conversations": [m for m in opening(WON, ()) if m["value"] != "OK"], "reward": 1.0}
    with_flags = [m | {"loss": None} for m in opening(WON, ())]
    for record in (plain, {"conversations": with_flags}, {"meta": {"steps": 1}}, [], "x", None):
        assert not eto.recognises(record)
    assert recognised(explored(WON)) is recognised(expert(WON)) is eto.FORMAT


@given(mangled([explored(WON), explored(CUT, game_file=GAME), expert(WON), ended_by_error(WON)]))
def test_nearly_right_records_are_read_or_refused(record: Any) -> None:
    if not eto.recognises(record):
        return
    try:
        run = read(record, "here")
    except InvalidInput as error:
        assert str(error).startswith("here")
    else:
        assert Trajectory.from_json(run.to_json()) == run
