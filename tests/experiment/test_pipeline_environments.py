"""The whole method on other environments than TextWorldExpress, from demonstrations to report."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.experiments import METHODS, run, smallest, stages_run, w2stree
from support.treasure_hunters import EXAMPLE, hunts
from support.webshop_data import REAL, needs_real_shop

from w2stree import Message, Step, Trajectory, read_trajectories, write_trajectories
from w2stree.environments.webshop import WebShop

pytestmark = pytest.mark.train


def report_of(config: dict[str, Any], cwd: Path) -> tuple[dict[str, Any], Path]:
    """The report of a run that went through, after what every report must have."""
    ran = run(config, cwd)
    assert ran.returncode == 0, ran.stderr[-4000:]
    folder = cwd / "runs" / "smallest" / "report"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for row in report["rows"]:
        asked = config["tasks"]["test"]
        asked = asked if isinstance(asked, int) else asked[row["panel"]]["count"]
        assert row["num_tasks"] == asked
        assert row["num_errors"] == 0, row
        assert 0 <= row["ci95"][0] <= row["avg_reward"] <= row["ci95"][1] <= 1
    return report, folder


def rows_of(report: dict[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row["method"] for row in report["rows"]))


def assert_says(folder: Path, title: str, settings: Sequence[str]) -> None:
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text(encoding="utf-8")
        for said in (title, *settings):
            assert said in text, (name, said)


@pytest.mark.java
def test_scienceworld_from_demonstrations_to_report(tmp_path: Path) -> None:
    pytest.importorskip("scienceworld", reason="pip install 'w2stree[scienceworld]'")
    longest, shortest = "lifespan-longest-lived", "lifespan-shortest-lived"
    splits = {
        "train": [[longest, 0], [shortest, 0], [longest, 4], [shortest, 4]],
        "dev": [],
        "test": [[longest, 100], [shortest, 100]],
    }
    (tmp_path / "split.json").write_text(json.dumps(splits))
    environment = {
        "name": "scienceworld", "split_file": "split.json", "max_steps": 7, "num_processes": 2
    }  # fmt: skip
    tasks = {"demonstrations": 2, "explore": 2, "test": 2, "distinct": False}
    config = smallest(environment, tasks, decoding={"thought": False, "max_new_tokens": 14})
    report, folder = report_of(config, tmp_path)
    assert rows_of(report) == METHODS[1:]  # nothing is listed, so nothing is drawn at random
    assert report["config"]["decoding"]["actions"] == "free"
    settings = ["split file split.json", "at most 7 steps an episode", "2 demonstrations"]
    assert_says(folder, "Weak-to-strong on ScienceWorld", [*settings, "Random play left out"])
    counts = report["tasks"]  # variations 0 and 4 open alike: only their ids tell them apart
    assert counts["tasks.demonstrations"]["num_shared"] == 2
    assert counts["tasks.explore"] == {"num_tasks": 2, "num_repeated": 2, "num_shared": 2}
    assert counts["tasks.test.test"]["num_shared"] == 0


def shirts_bought(count: int) -> list[Trajectory]:
    """Train tasks by a customer who buys the first shirt that is found, whatever was asked for:
    some reward each time, and so little to learn that the smallest model can."""
    played = []
    with closing(WebShop(REAL)) as shop:
        for task_id in shop.tasks("train")[:count]:
            statement, _ = shop.reset(task_id)
            found, *_ = shop.step("search[shirt]")
            product = f"click[{re.findall(r'B0[0-9A-Z]{8}', found)[0].lower()}]"
            page, *_ = shop.step(product)
            thanks, _, terminated, _, info = shop.step("click[buy now]")
            assert terminated
            answers = {"search[shirt]": found, product: page, "click[buy now]": thanks}
            steps = tuple(Step(action, answer) for action, answer in answers.items())
            prompt = (Message("user", statement),)
            played.append(Trajectory(task_id, prompt, steps, info["score"], "done"))
    return played


@needs_real_shop
def test_webshop_from_demonstrations_to_report(tmp_path: Path) -> None:
    pytest.importorskip("snowballstemmer", reason="pip install 'w2stree[webshop]'")
    write_trajectories(tmp_path / "shirts.jsonl", shirts_bought(4))
    environment = {"name": "webshop", "data": str(REAL), "max_steps": 4, "num_processes": 2}
    tasks = {"demonstrations": 2, "explore": 8, "test": 2}
    config = smallest(environment, tasks, decoding={"thought": False, "max_new_tokens": 20})
    config["demonstrations"] = "shirts.jsonl"
    config["evaluate"]["success_threshold"] = 0.05
    config["weak"]["sft"]["num_epochs"] = 60
    del config["ceiling"]  # explored tasks are drawn from thousands: the file shows none
    report, folder = report_of(config, tmp_path)
    assert rows_of(report) == tuple(name for name in METHODS if name != "ceiling")
    assert report["config"]["decoding"]["actions"] == "free"
    settings = ["synthetic goals", "at most 4 steps an episode", "2 demonstrations from shirts"]
    assert_says(folder, "Weak-to-strong on WebShop", settings)


def test_an_environment_of_one_s_own_with_demonstrations_from_a_file(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    write_trajectories(tmp_path / "shown.jsonl", hunts(i for i in range(1000) if i % 3))
    environment = {"name": "gymnasium", "make": "own_environment:treasure", "max_steps": 8}
    panels = {"new": {"split": "train", "count": 3}, "unseen": {"split": "test", "count": 2}}
    tasks = {"demonstrations": 3, "explore": 3, "dev": 2}
    tasks["test"] = panels  # type: ignore[assignment]
    prompt = {"instruction": "Open the chest."}
    report, folder = report_of(
        smallest(environment, tasks, prompt=prompt, demonstrations="shown.jsonl"), tmp_path
    )
    assert rows_of(report) == METHODS
    settings = ["at most 8 steps an episode", "3 demonstrations from shown.jsonl"]
    assert_says(folder, "Weak-to-strong on own_environment:treasure", settings)
    assert "from 3 demonstrations and then" in (folder / "report.html").read_text()
    assert "\n| Method | new | unseen |\n" in (folder / "report.md").read_text()
    assert [row["panel"] for row in report["rows"]] == ["new"] * 6 + ["unseen"] * 6

    run_dir = tmp_path / "runs" / "smallest"

    def tasks_of(stage: str) -> list[int]:
        played = read_trajectories(run_dir / stage / "trajectories.jsonl")
        opened = {t.prompt[0].content for t in played}
        assert all(text.startswith("Open the chest.\nYou are in the hall.") for text in opened)
        return sorted({int(t.task_id.rpartition("/")[2]) for t in played})

    shown, explored = tasks_of("demonstrations"), tasks_of("explore")
    assert all(number % 3 for number in shown)
    assert len({*shown, *explored}) == 6
    assert tasks_of("ceiling_demonstrations") == [number for number in explored if number % 3]
    evaluated = tasks_of("evaluate_ceiling")
    assert [number // 10_000 for number in evaluated] == [0, 0, 0, 1, 1, 2, 2]
    assert [row["num_tasks"] for row in report["dev_rows"]] == [2] * 6
    (first, *_) = read_trajectories(run_dir / "demonstrations" / "trajectories.jsonl")
    assert first.steps[0].response.startswith("Thought: The key first.\nAction: go ")

    refused = w2stree("verify", str(run_dir), cwd=tmp_path)
    assert refused.returncode == 2, refused.stdout
    verified = w2stree("verify", str(run_dir), "--trust", cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout
    assert " replayed; 0 differ; 0 error rows skipped" in verified.stdout

    again = w2stree("run", "smallest.yaml", cwd=tmp_path)
    assert stages_run(again.stdout) == []
    write_trajectories(tmp_path / "shown.jsonl", hunts(i for i in range(1000) if i % 3 == 0))
    none_explored = w2stree("run", "smallest.yaml", cwd=tmp_path)
    assert none_explored.stdout == "", "nothing is redone before that is known"
    assert "ceiling learns from demonstrations of the 3 explored tasks" in none_explored.stderr
    write_trajectories(tmp_path / "shown.jsonl", hunts(i for i in range(1000) if i % 3 != 1))
    command = [sys.executable, "-m", "w2stree", "run", "smallest.yaml"]
    changed = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert changed.stdout is not None
    said = []
    for line in changed.stdout:
        said.append(line.split(maxsplit=1))
        if said[-1] == ["demonstrations", "running, tasks: another than it was made from\n"]:
            break
    changed.send_signal(signal.SIGINT)  # the stages after it are not looked at
    changed.communicate(timeout=300)
    assert said[0][0] == "tasks"
    assert said[0][1].startswith("to be redone: shown.jsonl: another than it was made from (took")
    assert ["tasks", "running, shown.jsonl: another than it was made from\n"] in said
