"""Rows made on columns, against rows made pair by pair: every field, the runs as objects."""

from __future__ import annotations

from dataclasses import fields
from random import Random
from typing import Any

import numpy as np
import pytest
from support.comparison_oracle import oracle_rows

import w2stree as w2s
from w2stree.rows.rows import PreferenceRow, PreferenceRows, preference_rows
from w2stree.trajectories.trajectory import Trajectory


def random_runs(random: Random) -> list[Trajectory]:
    """Tasks that may ask the same, few words, thoughts that may differ, words that may lack, runs
    that are there twice."""
    prompts = [(w2s.Message("user", text),) for text in ("p", "p", "q")]
    returns = random.choice([[0.0, 1.0], [0.0, 0.1, 0.2, 0.3, 0.1 + 0.2], [-1e9, 0.5, 1e9]])
    is_logged = random.random() < 0.3
    runs = []
    for _ in range(random.randint(2, 12)):
        task = random.randrange(3)
        steps = []
        for _ in range(random.randint(1, 4)):
            action = random.choice(["a", "b", "c", ""])
            observation = random.choice(["x y", "y x", "z"])
            response = random.choice([action, f"hm {action}"])
            if is_logged and random.random() < 0.3:
                response = ""
            steps.append(w2s.Step(action, observation, response))
        value = random.choice(returns)
        runs.append(Trajectory(f"t{task}", prompts[task], tuple(steps), value, "done"))
    return runs + random.sample(runs, random.randint(0, 2))


def exact(row: PreferenceRow) -> tuple[Any, ...]:
    values = (getattr(row, field.name) for field in fields(row))
    return tuple(id(v) if isinstance(v, Trajectory) else (type(v), repr(v)) for v in values)


def assert_same(ours: PreferenceRows, theirs: PreferenceRows, *, by_object: bool) -> None:
    if by_object:
        assert [exact(row) for row in ours] == [exact(row) for row in theirs]
    assert ours == theirs


@pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories")
@pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction")
@pytest.mark.parametrize("seed", range(150))
def test_rows_are_the_oracles(seed: int) -> None:
    random = Random(seed)
    rule = random.choice([w2s.Merging(), w2s.Merging(normalize_observation="sort_words")])
    forest = w2s.build_forest(random_runs(random), merging=rule)
    found = forest.pairs(random.choice([0.0, 0.0, 0.15]))
    if random.random() < 0.3 and len(found):  # in an order of its own, some of them twice
        order = np.array([random.randrange(len(found)) for _ in range(2 * len(found))])
        found = found.select(order)
    for completion in ("step", "suffix"):
        for render in (False, True):
            theirs = oracle_rows(found, completion, render_actions=render)
            for pairs in (found, list(found)):
                ours = preference_rows(pairs, completion, render_actions=render)
                assert_same(ours, theirs, by_object=not render)


def test_no_pairs_are_no_rows() -> None:
    for completion in ("step", "suffix"):
        assert len(preference_rows([], completion)) == 0
