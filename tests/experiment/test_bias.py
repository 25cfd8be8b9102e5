"""How models play, counted by hand; and a run's table."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from w2stree import InvalidInput, Message, Step, Trajectory, write_trajectories
from w2stree.experiment.analyses.bias import (
    bias,
    divergence,
    figures_of,
    ngrams,
    numbers,
    table,
)
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_json import write_json
from w2stree.rollouts.task_choice import Chosen

LOST = Trajectory(
    "t",
    (Message("user", "Tidy up."),),
    (
        Step("look", "Tidy up.", "", reward=0.0),  # nothing happened
        Step("", "Your reply had no action.", "Hm.", reward=0.0),
        Step("take cup", "Taken.", "", reward=0.5),
        Step("put cup in bin", "Done.", "", reward=-0.5),
        Step("take cup", "Taken.", "", reward=0.5),
        Step("click[Shelf]", "Taken.", "", reward=0.0),
    ),
    0.5,
    "done",
)


def test_mistakes_are_counted() -> None:
    found = figures_of(
        [LOST, replace(LOST, total_return=1.0), replace(LOST, status="truncated")], 1
    )
    assert found["num_turns"] == 18
    expected = {"unparsed": 1, "no_effect": 2, "repeated": 1, "unpaid_put": 1, "lost": 1}
    assert found["turns"] == pytest.approx({name: n / 6 for name, n in expected.items()})
    third = pytest.approx(1 / 3)
    assert found["episodes"] == {"ended_early": third, "cut": third, "succeeded": third}
    assert found["verbs"] == {"take": 6, "look": 3, "<none>": 3, "put": 3, "click": 3}
    unknown = replace(LOST, steps=tuple(replace(s, reward=None) for s in LOST.steps))
    turns = figures_of([unknown], 1)["turns"]
    assert (turns["unpaid_put"], turns["lost"]) == (None, None)


def test_divergence_is_jensen_shannon_s() -> None:
    assert divergence({"a": 3}, {"a": 30}) == 0
    assert divergence({"a": 3}, {"b": 1}) == 1
    half, quarter = 0.5, 0.75  # (1, 0) against (1/2, 1/2): the middle is (3/4, 1/4)
    expected = 0.5 * math.log2(1 / quarter) + 0.25 * math.log2(half / quarter)
    expected += 0.25 * math.log2(half / 0.25)
    assert divergence({"a": 1}, {"a": 1, "b": 1}) == pytest.approx(expected)
    assert divergence({}, {"a": 1}) == 1
    assert divergence({}, {}) == 0


def test_ngrams_know_where_episodes_begin_and_end() -> None:
    short = replace(LOST, steps=LOST.steps[2:4])
    assert ngrams([short], 1) == Counter({("take",): 1, ("put",): 1})
    assert ngrams([short, short], 2) == Counter(
        {("<begin>", "take"): 2, ("take", "put"): 2, ("put", "<end>"): 2}
    )


def test_a_run_s_methods_are_compared_with_the_weak_one(tmp_path: Path) -> None:
    config = {"max_length": 512, "evaluate": {"success_threshold": 1.0}}
    write_json(tmp_path / "config.json", config)
    with pytest.raises(InvalidInput, match=r"sft_weak has no test episodes; .* no method"):
        bias(tmp_path)
    for name, run in (("sft_weak", LOST), ("tree_dpo", replace(LOST, steps=LOST.steps[:3]))):
        (tmp_path / f"evaluate_{name}").mkdir()
        write_trajectories(tmp_path / f"evaluate_{name}" / "trajectories.jsonl", [run])
        write_json(tmp_path / f"evaluate_{name}" / "manifest.json", {})
    found = bias(tmp_path, out=tmp_path / "analyses")
    assert list(found["methods"]) == ["sft_weak", "tree_dpo"]
    assert found["methods"]["sft_weak"]["divergence"] == {"1": 0, "2": 0, "3": 0}
    assert 0 < found["methods"]["tree_dpo"]["divergence"]["2"] < 1
    lines = (tmp_path / "analyses" / "bias.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["unparsed", "sft_weak", "tree_dpo"]
    assert (tmp_path / "analyses" / "bias.json").is_file()
    assert "tree_dpo - sft_weak" not in numbers(found)
    named = bias(tmp_path, methods=["tree_dpo"], before="sft_weak")
    rows = numbers(named)
    assert list(rows) == ["sft_weak", "tree_dpo", "tree_dpo - sft_weak"]
    assert rows["sft_weak"]["unpaid put"] == pytest.approx(1 / 6)
    assert rows["tree_dpo - sft_weak"]["unpaid put"] == pytest.approx(-1 / 6)
    assert "-16.7%" in table(named)
    assert rows["sft_weak"]["take …"] == pytest.approx(1 / 3)
    assert named["verbs"][0] == "take", "the commonest of all turns first"
    said = numbers(bias(tmp_path, methods=["tree_dpo"], verbs=["drop", "take"]))
    assert [said["tree_dpo"][f"{verb} …"] for verb in ("drop", "take")] == pytest.approx([0, 1 / 3])
    assert "click …" not in said["tree_dpo"]


def test_episodes_that_ended_in_an_error_are_counted(tmp_path: Path) -> None:
    config = {"max_length": 512, "evaluate": {"success_threshold": 1.0}}
    write_json(tmp_path / "config.json", config)
    failed = replace(LOST, task_id="u", status="error")
    for name, runs in (("sft_weak", [LOST, failed]), ("tree_dpo", [failed])):
        (tmp_path / f"evaluate_{name}").mkdir()
        write_trajectories(tmp_path / f"evaluate_{name}" / "trajectories.jsonl", runs)
        write_json(tmp_path / f"evaluate_{name}" / "manifest.json", {})
    found = bias(tmp_path, methods=["sft_weak"])
    assert found["methods"]["sft_weak"]["num_errors"] == 1
    assert "Left out, as they ended in an error: sft_weak 1." in table(found)
    with pytest.raises(InvalidInput, match="tree_dpo finished no test episode: all 1 ended in an"):
        bias(tmp_path)


def test_what_the_dev_panel_was_played_for_is_not_counted(tmp_path: Path) -> None:
    write_json(
        tmp_path / "config.json", {"max_length": 512, "evaluate": {"success_threshold": 1.0}}
    )
    chosen = {task: Chosen({task: f"Tidy up {task}."}) for task in "abcd"}
    parts = Parts(chosen["a"], chosen["b"], {"test": chosen["c"]}, chosen["d"])
    (tmp_path / "tasks").mkdir()
    write_json(tmp_path / "tasks" / "tasks.json", parts.to_record())
    (tmp_path / "evaluate_sft_weak").mkdir()
    write_trajectories(
        tmp_path / "evaluate_sft_weak" / "trajectories.jsonl",
        [replace(LOST, task_id=task) for task in "cd"],
    )
    for stage in ("tasks", "evaluate_sft_weak"):
        write_json(tmp_path / stage / "manifest.json", {})
    assert bias(tmp_path)["methods"]["sft_weak"]["num_episodes"] == 1
