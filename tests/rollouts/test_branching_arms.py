"""The comparison of where episodes start (`bench/rollouts`), and what it counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.storeroom import Storeroom, num_taken, run_of

from bench.rollouts.arms import finished
from bench.rollouts.branching import ARMS, ArmResult, choice_of, ratio_ci95, results, table
from bench.rollouts.branching_arms import Cell, play
from bench.rollouts.outcomes import (
    is_pair,
    num_new_pairs,
    num_shared,
    pairs_that_inform,
    share_that_differs,
    siblings,
)
from bench.rollouts.pair_check import PairCheck
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rows.confidence import Posterior
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Step, Trajectory

SAMPLINGS = [Sampling(0.0), Sampling(1.0)]
GOOD = ["take cup", "put cup in sink", "take pen", "put pen in sink", "look", "look"]
BAD = ["take cup", "put cup in sink", "look", "look", "look", "look"]
OTHER = ["look", "take pen", "put pen in shelf", "look", "look", "look"]


def walk(actions: str, total_return: float, prefix: int = 0, sample: int = 0) -> Trajectory:
    steps = tuple(Step(a, f"after {actions[: i + 1]}") for i, a in enumerate(actions))
    return Trajectory("t", (), steps, total_return, "done", Origin(sample, prefix_length=prefix))


def test_siblings_are_the_runs_through_where_an_episode_began() -> None:
    runs = [walk("abc", 1.0), walk("abd", 0.5), walk("ax", 0.5), walk("y", 0.0)]
    assert siblings(walk("abe", 0.5, prefix=2), runs) == runs[:2]
    assert siblings(walk("abe", 0.5, prefix=1), runs) == runs[:3]
    assert siblings(walk("abe", 0.5), runs) == runs


def test_an_outcome_differs_by_share_so_that_more_siblings_are_no_advantage() -> None:
    runs = [walk("abc", 1.0), walk("abd", 0.5), walk("ax", 0.5), walk("y", 0.5 + 1e-12)]
    assert share_that_differs(walk("z", 0.5), runs) == 0.25
    assert share_that_differs(walk("z", 0.5), runs * 5) == 0.25
    assert share_that_differs(walk("z", 0.7), runs) == 1.0


def test_a_pair_of_runs_parts_by_actions_that_both_were_free_to_take() -> None:
    one = walk("abc", 1.0)
    assert num_shared(one, walk("abd", 0.0)) == 2
    assert is_pair(one, walk("abd", 0.0))
    assert is_pair(one, walk("abd", 0.0, prefix=3))  # as its "d" was chosen for it
    assert not is_pair(one, walk("xbd", 0.0, prefix=2))  # its "x" too, and then "b"
    assert not is_pair(one, walk("abd", 1.0))  # nothing to prefer
    assert not is_pair(one, walk("ab", 0.0))  # the one goes on where the other ends
    lucky = replace(one, steps=(*one.steps[:2], Step("c", "another answer")), total_return=0.0)
    assert not is_pair(one, lucky)  # an environment divergence


def test_new_pairs_have_a_new_run() -> None:
    runs = [walk("ab", 1.0), walk("ac", 0.0)]
    assert num_new_pairs(runs, []) == 0
    assert num_new_pairs(runs, [walk("ad", 0.5)]) == 2
    assert num_new_pairs(runs, [walk("ad", 0.5), walk("ae", 0.25)]) == 5


def test_informative_pairs_are_known_by_what_was_done_not_by_node() -> None:
    runs = [walk(f"p{a}{i}", r) for a, r in (("a", 1.0), ("b", 0.0)) for i in range(3)]
    (key,) = pairs_that_inform(runs, Posterior(sd=0.2))
    assert key == ((("p", "after p"),), "a", "b")
    later = [walk("q", 0.5), *runs]  # other node numbers
    assert list(pairs_that_inform(later, Posterior(sd=0.2))) == [key]


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Storeroom, 1) as pool:
        yield pool


@pytest.fixture(scope="module")
def explored(pool: EnvironmentPool) -> dict[str, list[Trajectory]]:
    return finished(
        [
            run_of(pool, f"store/{task}", actions, sample=sample)
            for task in range(2)
            for sample, actions in enumerate((GOOD, BAD, OTHER))
        ]
    )


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_pays_the_budget_for_all_that_is_played(
    pool: EnvironmentPool, explored: dict[str, list[Trajectory]], arm: str
) -> None:
    options: Any = {"posterior": Posterior(sd=0.2), "budget": 40}
    before = num_taken(pool)
    choice = choice_of(arm, explored, SAMPLINGS, 0)
    played = play(pool, RandomPolicy(), explored, choice, **options)
    cells = [of.cell for of in played.values()]
    assert num_taken(pool) - before == sum(cell.num_steps for cell in cells)
    assert played.keys() == explored.keys()
    for task, of in played.items():
        new = of.runs[len(explored[task]) :]
        last = len(new[-1].steps)
        assert 40 <= of.cell.num_steps == sum(len(run.steps) for run in new) < 40 + last
        led = sum(run.origin.prefix_length or 0 for run in new)
        assert of.cell.num_own_steps == of.cell.num_steps - led
        assert (led == 0) == (arm == "restarts")
        assert 0 <= of.cell.differing <= of.cell.num_episodes == len(new)
        assert [r.origin.sample_index for r in new] == list(range(2, 2 + len(new)))
    again = play(pool, RandomPolicy(), explored, choice_of(arm, explored, SAMPLINGS, 0), **options)
    assert [of.cell for of in again.values()] == cells


def test_pairs_are_checked_by_runs_of_their_own(
    pool: EnvironmentPool, explored: dict[str, list[Trajectory]]
) -> None:
    """In the storeroom a cup in the sink can be taken back: worse than in the hand."""
    runs = explored["store/0"]
    checking = PairCheck(pool, RandomPolicy(), SAMPLINGS, num_runs=30)
    history = tuple((step.action, step.observation) for step in runs[0].steps[:2])
    pair = history, "take pen", "look"
    before = num_taken(pool)
    checking.play([(pair, runs)])
    assert num_taken(pool) > before
    verdict = checking.verdict("store/0", pair)
    assert verdict == -checking.verdict("store/0", (history, "look", "take pen")) != 0
    before = num_taken(pool)
    checking.play([(pair, runs)])
    assert num_taken(pool) == before  # once, whoever asks


def cell(num_informative: int, num_steps: int = 100) -> Cell:
    return Cell(7, num_steps, num_steps // 2, 3.5, 10, num_informative, num_confirmed=0)


def test_the_interval_of_a_ratio_pairs_tasks() -> None:
    steps = np.full((1, 4), 100.0)
    found = np.array([[1.0, 8.0, 2.0, 30.0]])
    assert ratio_ci95(2 * found, steps, found, steps) == (2.0, 2.0)
    low, high = ratio_ci95(found[:, ::-1], steps, found, steps)
    assert low < 1 < high
    assert ratio_ci95(found, steps, 0 * found, steps) == (math.inf, math.inf)


def test_the_table_has_rates_and_ratios() -> None:
    restarts = ArmResult("restarts", [[cell(1), cell(0)], [cell(0), cell(1)]], 1.0)
    best = ArmResult("information", [[cell(2), cell(1)], [cell(1), cell(0)]], 1.0)
    header, _, *rows = table([restarts, best])
    assert header.count("|") == rows[0].count("|") == rows[1].count("|")
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert cells[0][:6] == ["restarts", "100", "50", "0.500", "100", "5.00"]
    assert cells[1][5] == "10.00"
    assert cells[1][9].startswith("2.00 [")


def test_results_are_of_every_arm_seed_and_task(
    pool: EnvironmentPool, explored: dict[str, list[Trajectory]]
) -> None:
    found = list(
        results(
            pool,
            RandomPolicy(),
            explored,
            SAMPLINGS,
            arms=["restarts", "informative_pairs replanned"],
            budget=60,
            seeds=[0, 1],
            num_checked=4,
        )
    )
    assert [one.arm for one in found] == ["restarts", "informative_pairs replanned"]
    for one in found:
        assert one.of("num_steps").shape == (2, 2)
        checked = one.of("num_confirmed") + one.of("num_reversed")
        assert (one.of("num_true") <= checked).all()
    assert len(table(found)) == 4
