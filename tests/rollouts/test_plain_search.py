"""Searching an environment without any run: what is found, what it costs, what fails."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from support.storeroom import Storeroom, num_taken, run_of

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.rollouts.recombination.plain_search import (
    NOT_DETERMINISTIC,
    NOTHING_FOUND,
    POLICY,
    Searched,
    search_plainly,
)
from w2stree.rollouts.verification import verify
from w2stree.trajectories.trajectory import Trajectory


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Storeroom, 1) as pool:
        yield pool


def only(found: Iterator[Searched]) -> Searched:
    (one,) = found
    return one


def path_of(found: Searched) -> Trajectory:
    assert found.trajectory is not None
    assert found.problem is None
    return found.trajectory


def test_a_success_is_found_that_can_spare_no_step(pool: EnvironmentPool) -> None:
    before = num_taken(pool)
    found = only(search_plainly(pool, ["store/1"], seed=0, instruction="Tidy up."))
    assert sum(found.num_steps.values()) == num_taken(pool) - before <= 600
    path = path_of(found)
    assert (path.task_id, path.total_return, path.status) == ("store/1", 1.0, "done")
    assert [differences for _, differences in verify(pool, [path])] == [[]]
    assert path.prompt[0].content == "Tidy up.\nstore/1: a cup and a pen lie here."
    assert [step.response for step in path.steps] == [f"Action: {s.action}" for s in path.steps]
    assert (path.origin.policy, path.origin.truncated_by) == (POLICY, None)
    for i in range(len(path.steps)):
        rest = [step.action for step in (*path.steps[:i], *path.steps[i + 1 :])]
        assert run_of(pool, "store/1", rest).total_return < 1.0


def test_the_budget_holds_and_buys_the_search_s_score(pool: EnvironmentPool) -> None:
    scores = []
    for budget in (3, 10, 40, 80, 300):
        before = num_taken(pool)
        found = only(search_plainly(pool, ["store/1"], budget_per_task=budget, seed=2))
        assert sum(found.num_steps.values()) == num_taken(pool) - before <= budget
        scores.append(0.0 if found.trajectory is None else found.trajectory.total_return)
        if found.trajectory is not None:
            assert [differences for _, differences in verify(pool, [found.trajectory])] == [[]]
    assert scores == sorted(scores)
    assert scores[-1] == 1.0


def test_what_ends_before_the_environment_does_says_so(pool: EnvironmentPool) -> None:
    found = (
        only(search_plainly(pool, ["store/1"], budget_per_task=8, seed=seed, shorten=False))
        for seed in range(20)
    )
    partial = [path.trajectory for path in found if path.trajectory is not None]
    path = next(path for path in partial if path.total_return < 1)
    assert path.status == "truncated"
    assert path.origin.truncated_by == "the path ends where its return is highest"
    assert path.steps[-1].reward is not None
    assert path.steps[-1].reward > 0


def test_the_seed_alone_draws_the_order(pool: EnvironmentPool) -> None:
    tasks = [f"store/{i}" for i in range(4)]

    def paths(pool: EnvironmentPool, seed: int, tasks: list[str]) -> dict[str, Searched]:
        found = search_plainly(pool, tasks, seed=seed, shorten=False)
        return {one.task_id: one for one in found}

    first = paths(pool, 0, tasks)
    assert list(first) == tasks
    assert len({sum(one.num_steps.values()) for one in first.values()}) > 1, "each task its own"
    with EnvironmentPool(Storeroom, 3) as others:
        assert paths(others, 0, tasks[::-1]) == first
    assert paths(pool, 1, tasks) != first


def test_an_environment_that_lists_nothing_leaves_nothing_to_search() -> None:
    with EnvironmentPool(functools.partial(Storeroom, lists=False), 1) as pool:
        found = only(search_plainly(pool, ["store/1"], seed=0))
    assert (found.trajectory, found.problem, found.num_steps) == (None, NOTHING_FOUND, {})
    record = found.to_record()
    assert (record["total_return"], record["problem"]) == (None, NOTHING_FOUND)


def test_a_failing_environment_costs_its_task_alone(pool: EnvironmentPool) -> None:
    jammed, good = search_plainly(pool, ["jammed", "store/1"], seed=0)
    assert jammed.trajectory is None
    assert jammed.problem is not None
    assert "its process ended (exit status 1)" in jammed.problem
    assert path_of(good).total_return == 1.0


def test_an_environment_that_answers_otherwise_is_found_out(pool: EnvironmentPool) -> None:
    """Looking at `moody` says another number each time."""
    found = [only(search_plainly(pool, ["moody"], seed=seed)) for seed in range(8)]
    problems = {one.problem for one in found}
    assert NOT_DETERMINISTIC in problems
    assert problems <= {None, NOT_DETERMINISTIC}
    assert all((one.trajectory is None) == (one.problem is not None) for one in found)


def test_a_budget_of_nothing_is_refused(pool: EnvironmentPool) -> None:
    with pytest.raises(InvalidInput, match="budget_per_task is 0; give at least 1 step"):
        search_plainly(pool, [], budget_per_task=0, seed=0)
