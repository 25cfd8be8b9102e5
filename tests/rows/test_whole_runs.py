"""Rows of whole runs: which run is chosen, which give none, how pairs are drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip("torch")

from support.tiny_models import BAD, GOOD, WORSE

from w2stree import Message, Trajectory
from w2stree.rows.rows import NO_NODE
from w2stree.rows.whole_runs import expert_rows, random_rows

pytestmark = pytest.mark.train


def of_task(task: str, run: Trajectory, total_return: float) -> Trajectory:
    prompt = (Message("user", f"Task {task}."),)
    return replace(run, task_id=task, prompt=prompt, total_return=total_return)


def test_the_better_one_is_chosen_whoever_played_it() -> None:
    expert = replace(GOOD, total_return=0.8)
    found = expert_rows([expert], [BAD, WORSE, replace(GOOD, total_return=1.0)], more_turns=0)
    chosen = [(r.chosen.total_return, r.rejected.total_return, r.end) for r in found.rows]
    assert chosen == [(0.8, 0.0, 3), (0.8, 0.1, 3), (1.0, 0.8, None)]
    assert [r.gap for r in found.rows] == pytest.approx([0.8, 0.7, 0.2])
    assert {r.divergence for r in found.rows} == {NO_NODE}


def test_runs_that_say_nothing_are_counted() -> None:
    broken, empty = replace(BAD, status="error"), replace(BAD, steps=())
    mute = replace(BAD, steps=tuple(replace(s, action="") for s in BAD.steps))
    own = [GOOD, broken, empty, mute, of_task("y", BAD, 0.0)]
    found = expert_rows([GOOD], own)
    assert found.rows == ()
    assert (found.num_as_good, found.num_without_expert, found.num_unusable) == (1, 1, 3)


def test_a_turn_that_is_only_to_be_read_is_on_no_side() -> None:
    unlearned = replace(GOOD, info={"learned_turns": [False] * len(GOOD.steps)})
    assert len(expert_rows([GOOD], [BAD]).rows) == 1
    found = expert_rows([unlearned], [BAD])
    assert (found.rows, found.num_without_expert) == ((), 1)
    assert expert_rows([GOOD], [replace(BAD, info=unlearned.info)]).num_unusable == 1
    other = of_task("y", BAD, 0.0)
    assert len(random_rows([GOOD, other], 1, seed=0)) == 1
    assert random_rows([unlearned, other], 1, seed=0) == []


def test_random_pairs_are_drawn_uniformly() -> None:
    runs = [of_task(t, GOOD, r) for t in "abc" for r in (0.0, 0.5, 1.0)]
    pairs = 3 * 6  # of two tasks: 9 ordered returns, 3 of them equal
    everything = random_rows(runs, 1000, seed=0)
    assert len(everything) == pairs
    counts = Counter(
        (r.chosen.task_id, r.chosen_return, r.rejected.task_id, r.rejected_return)
        for seed in range(600)
        for r in random_rows(runs, 3, seed=seed)
    )
    assert len(counts) == pairs
    assert all(60 < count < 140 for count in counts.values())  # 100 expected, sd 9
    assert random_rows(runs, 3, seed=4) == random_rows(runs, 3, seed=4)


def test_tasks_that_open_alike_are_one() -> None:
    twin = replace(BAD, task_id="twin")
    assert random_rows([GOOD, twin], 5, seed=0) == []
    assert random_rows([GOOD], 5, seed=0) == []
