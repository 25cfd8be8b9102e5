"""Which steps a run's return rests on, in a world where that is known."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.storeroom import Storeroom, run_of

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.rollouts.episode import opening
from w2stree.rollouts.needed_steps import NOT_DETERMINISTIC, Needed, needed_steps

DETOUR = ["look", "take cup", "put cup in shelf", "take cup", "open box", "put cup in box"]
LOST = ["take pen", "look", "put pen in shelf"]


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Storeroom, 2) as pool:
        yield pool


def needed(pool: EnvironmentPool, *scripts: list[str], task: str = "store/1") -> list[Needed]:
    runs = [run_of(pool, task, script) for script in scripts]
    return list(needed_steps(pool, runs, budget_per_run=500))


def test_what_is_left_is_as_good_and_no_step_of_it_can_be_spared(pool: EnvironmentPool) -> None:
    detour, lost, short = needed(pool, DETOUR, LOST, DETOUR[-3:])
    assert detour.steps == (False, False, False, True, True, True)
    assert lost.steps == (False, False, False)  # it ended with nothing, as doing nothing does
    assert short.steps == (True, True, True)
    assert not any(found.is_untried or found.problem for found in (detour, lost, short))
    assert 0 < detour.num_steps_spent <= 6 * 7


def test_a_step_that_was_needed_because_of_another_goes_with_it(pool: EnvironmentPool) -> None:
    """The pen is lost in the box, so the cup must find its place; with the pen in hand it need not,
    and with the box closed it cannot."""
    script = ["take pen", "open box", "put pen in box", "take cup", "put cup in box"]
    (found,) = needed(pool, script)
    assert found.steps == (True, False, False, True, False)
    assert not found.is_untried


def test_an_environment_that_lists_nothing_is_asked_all_the_same() -> None:
    with EnvironmentPool(functools.partial(Storeroom, lists=False), 1) as unlisted:
        (found,) = needed(unlisted, ["dance", *DETOUR])
    assert found.steps == (False,) * 4 + (True,) * 3


def test_what_the_budget_does_not_reach_counts_as_needed(pool: EnvironmentPool) -> None:
    run = run_of(pool, "store/1", DETOUR)
    (found,) = needed_steps(pool, [run], budget_per_run=12)
    assert found.is_untried
    assert found.steps == (True,) * 6
    with pytest.raises(InvalidInput, match="budget_per_run is 0; give at least 1 step"):
        next(needed_steps(pool, [run], budget_per_run=0))


def test_runs_that_cannot_be_played_again_are_told(pool: EnvironmentPool) -> None:
    moody, *_ = needed(pool, ["look", "take cup"], task="moody")
    assert (moody.steps, moody.problem) == ((True, True), NOT_DETERMINISTIC)
    run = run_of(pool, "store/1", ["open box", "take cup"])
    statement, _ = pool[0].call("reset", "jammed")
    jammed = replace(run, task_id="jammed", prompt=opening("", statement))
    (found,) = needed_steps(pool, [jammed], budget_per_run=50)
    assert found.steps == (True, True)
    assert found.problem is not None
    assert found.problem != NOT_DETERMINISTIC


def test_a_run_of_a_task_that_opens_otherwise_is_told(pool: EnvironmentPool) -> None:
    """Its answers alone would not tell: the other task gives the same ones."""
    run = replace(run_of(pool, "store/1", DETOUR), task_id="store/2")
    (found,) = needed_steps(pool, [run], budget_per_run=500)
    assert (found.steps, found.problem) == ((True,) * 6, NOT_DETERMINISTIC)
    assert found.num_steps_spent == 0
