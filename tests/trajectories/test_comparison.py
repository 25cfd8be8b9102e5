"""Where two runs part, and what one lot of runs has that another lacks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.looked_at import LOST, MIXED, WON, looked_at

from w2stree import Message, Step, Trajectory
from w2stree.trajectories.comparison import Parting, compare, parting_of


def run(*steps: str) -> Trajectory:
    """Steps as "action/answer"."""
    return Trajectory("t", (), tuple(Step(*s.split("/")) for s in steps), 0.0, "done")


@pytest.mark.parametrize(
    ("other", "parting"),
    [
        (("a/1", "b/2", "c/3"), Parting(3, "nothing")),
        (("a/1", "b/2"), Parting(2, "end")),
        (("a/1", "b/2", "c/3", "d/4"), Parting(3, "end")),
        (("a/1", "x/2", "c/3"), Parting(1, "action")),
        (("a/1", "x/y", "c/3"), Parting(1, "action")),
        (("a/9", "b/2", "c/3"), Parting(0, "answer")),
        ((), Parting(0, "end")),
    ],
)
def test_where_two_runs_part(other: tuple[str, ...], parting: Parting) -> None:
    one = run("a/1", "b/2", "c/3")
    assert parting_of(one, run(*other)) == parting == parting_of(run(*other), one)


def test_words_and_origins_do_not_part_runs() -> None:
    one = looked_at()[0]
    steps = tuple(replace(step, response="other words") for step in one.steps)
    other = replace(one, steps=steps, origin=looked_at()[1].origin, info={"a": 1})
    assert parting_of(one, other) == Parting(2, "nothing")
    assert compare([one], [other]).is_same


def test_runs_of_one_lot_and_of_another() -> None:
    runs = looked_at()
    found = compare(runs[:6], [runs[4], *runs[2:5], runs[6]])
    assert found.tasks_only_left == (WON,)
    assert found.tasks_only_right == ()
    assert found.tasks_in_both == (LOST, MIXED)
    assert found.num_same == 3  # of two equal ones one has a counterpart
    assert found.only_left == (0, 1, 5)
    assert found.only_right == (3, 4)
    assert not found.is_same
    assert compare(runs, runs[::-1]).is_same


def test_one_task_by_two_names_is_found_out() -> None:
    runs = looked_at()
    renamed = [replace(t, task_id=f"other/{t.task_id}") for t in runs if t.task_id == MIXED]
    found = compare(runs, [*renamed, *runs])
    assert found.same_opening == ((MIXED, f"other/{MIXED}"),)
    wordless = [replace(t, prompt=()) for t in (*runs, *renamed)]
    assert compare(wordless[: len(runs)], wordless[len(runs) :]).same_opening == ()
    other = replace(renamed[0], prompt=(Message("user", "Another task."),))
    assert compare(runs, [other]).same_opening == ()
