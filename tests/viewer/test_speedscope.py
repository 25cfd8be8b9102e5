"""The profile that `write_speedscope` makes: valid, weights are runs, stacks actions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from support.looked_at import MIXED, looked_at
from support.random_forests import random_trajectories
from support.speedscope_schema import schemas

import w2stree as w2s
from w2stree.errors import InvalidInput
from w2stree.viewer.speedscope import NO_ACTION, write_speedscope

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories")

Stack = tuple[str, ...]


def written(forest: w2s.Forest, path: Path, **options: Any) -> tuple[Counter[Stack], int]:
    """The runs of each stack, and what the call said; the file is valid."""
    weight = write_speedscope(forest, path, **options)
    record = json.loads(path.read_text(encoding="utf-8"))
    for schema in schemas():
        jsonschema.validate(record, schema)
    [profile] = record["profiles"]
    assert len(profile["samples"]) == len(profile["weights"])
    assert sum(profile["weights"]) == profile["endValue"] - profile["startValue"] == weight
    names = [frame["name"] for frame in record["shared"]["frames"]]
    stacks: Counter[Stack] = Counter()
    for sample, number in zip(profile["samples"], profile["weights"], strict=True):
        stacks[tuple(names[frame] for frame in sample)] += number
    return stacks, weight


def expected(runs: list[w2s.Trajectory]) -> Counter[Stack]:
    return Counter(
        (run.task_id, *(step.action or NO_ACTION for step in run.steps))
        for run in runs
        if run.status != "error"
    )


def test_stacks_are_the_actions_of_runs_and_weights_how_many(tmp_path: Path) -> None:
    runs = [*looked_at(), looked_at()[0]]
    stacks, weight = written(w2s.build_forest(runs), tmp_path / "p.json")
    assert stacks == expected(runs)
    assert stacks["cook/always", "take", "eat"] == 2
    assert weight == 8, "the error is no run of a tree"


@pytest.mark.parametrize("seed", range(5))
def test_any_forest_gives_back_its_runs(seed: int, tmp_path: Path) -> None:
    """Repeated runs, runs within others, answers that differ after one action."""
    runs = random_trajectories(Random(seed))
    forest = w2s.build_forest(runs)
    assert written(forest, tmp_path / "p.json")[0] == expected(runs)
    forest.save(tmp_path / "f.forest")
    opened = w2s.open_forest(tmp_path / "f.forest")
    assert written(opened, tmp_path / "q.json")[0] == expected(runs)


def test_one_task_alone(tmp_path: Path) -> None:
    forest = w2s.build_forest(looked_at())
    stacks, weight = written(forest, tmp_path / "p.json", task_id=MIXED)
    assert weight == 3 and {stack[0] for stack in stacks} == {MIXED}
    with pytest.raises(InvalidInput, match="'none' has no tree"):
        write_speedscope(forest, tmp_path / "q.json", task_id="none")
    assert not (tmp_path / "q.json").exists()


def test_texts_that_are_odd_and_runs_without_steps(tmp_path: Path) -> None:
    prompt = (w2s.Message("user", "Go."),)
    steps = (
        w2s.Step("", "What?"),
        w2s.Step("half \ud800 \x1b[31m", "Yes."),
        w2s.Step("go", "Done."),
    )
    runs = [
        w2s.Trajectory("go", prompt, (), 0.0, "done"),
        w2s.Trajectory("go", prompt, steps, 1.0, "done"),
    ]
    stacks, _ = written(w2s.build_forest(runs), tmp_path / "p.json", title="a\x1bb")
    assert stacks == {("go",): 1, ("go", NO_ACTION, "half \\ud800 \\x1b[31m", "go"): 1}
    frames = json.loads((tmp_path / "p.json").read_text())["shared"]["frames"]
    assert len(frames) == 4, "a task may be called as an action is"
