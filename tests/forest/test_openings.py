"""Runs of one task that were asked in other words: refused by where they differ, or one tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2stree import (
    InvalidInput,
    Message,
    Step,
    Trajectory,
    build_forest,
    open_forest,
    preference_rows,
)
from w2stree.forest.openings import difference


def run(day: str, action: str, total_return: float, task: str = "t") -> Trajectory:
    prompt = (Message("system", "You cook."), Message("user", f"It is the {day} of May. Cook."))
    step = Step(action, "Done.", f"Action: {action}")
    return Trajectory(task, prompt, (step,), total_return, "done")


RUNS = [run("1st", "fry", 1.0), run("2nd", "boil", 0.0), run("1st", "boil", 0.0)]


def test_they_are_two_tasks_by_mistake_unless_told_otherwise() -> None:
    message = (
        r"trajectories\[0\] and trajectories\[1\] have task_id 't' but different prompts: message "
        r"2 has .*It is the 1st of May.* and .*It is the 2nd of May.* from character 11 on; give "
        r"different tasks different ids, or .*openings=\"any\", --openings any"
    )
    with pytest.raises(InvalidInput, match=message):
        build_forest(RUNS)
    with pytest.raises(InvalidInput, match="openings is 'all'; use one of equal, any"):
        build_forest(RUNS, openings="all")  # type: ignore[arg-type]


def test_they_are_one_tree_where_that_is_said() -> None:
    forest = build_forest(RUNS, openings="any")
    assert (len(forest), forest.num_nodes) == (1, 3)
    assert forest.add([run("3rd", "fry", 1.0)], openings="any").num_nodes == 3
    assert list(forest.trajectories) == RUNS


def test_a_saved_one_is_opened_as_it_was_built(tmp_path: Path) -> None:
    built = build_forest(RUNS, openings="any")
    built.save(tmp_path / "x.forest")
    with pytest.raises(
        InvalidInput, match=r"trajectories\[0\] and trajectories\[1\] .*--openings any"
    ):
        open_forest(tmp_path / "x.forest", trajectories=RUNS)
    opened = open_forest(tmp_path / "x.forest", trajectories=RUNS, openings="any")
    assert list(opened.trajectories) == RUNS
    assert open_forest(tmp_path / "x.forest").with_trajectories(RUNS, openings="any").digest() == (
        built.digest()
    )
    with pytest.raises(InvalidInput, match="openings is 'all'; use one of equal, any"):
        open_forest(tmp_path / "x.forest", trajectories=RUNS, openings="all")  # type: ignore[arg-type]


def test_a_row_keeps_the_prompt_of_each_side() -> None:
    rows = preference_rows(build_forest(RUNS[:2], openings="any").pairs(), "step")
    (row,) = rows
    assert (row.chosen.prompt, row.rejected.prompt) == (RUNS[0].prompt, RUNS[1].prompt)
    assert not row.is_one_history


def test_where_two_prompts_differ() -> None:
    a, b = Message("user", "x"), Message("assistant", "x")
    assert difference([a], [b]) == "message 1 is of the user and of the assistant"
    assert difference([a], [a, b]) == "1 and 2 messages"
    long = Message("user", "y" * 500 + "z"), Message("user", "y" * 500)
    told = difference([long[0]], [long[1]])
    assert "from character 501 on" in told and len(told) < 200
