"""A step that lost a run is found by playing on from its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.rollouts.bisection import GAMES, found, named, summary
from bench.rollouts.planted_faults import planted
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.options import GymnasiumOptions, TextWorldExpressOptions
from w2stree.errors import InvalidInput
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import Policy
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.bisection import Bisected, Bisection
from w2stree.rollouts.rollout import opening
from w2stree.trajectories.trajectory import Step, Trajectory

OPTIONS = GymnasiumOptions(
    make="support.pits:pits", expert="support.pits:walks_out", max_steps=12, num_processes=2
)


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with OPTIONS.pool() as pool:
        yield pool


@pytest.fixture(scope="module")
def task_id(pool: EnvironmentPool) -> str:
    return str(pool[0].call("tasks", "train")[3])


def failed(pool: EnvironmentPool, task_id: str, actions: list[str]) -> Trajectory:
    statement, _ = pool[0].call("reset", task_id)
    steps = []
    for action in actions:
        observation, reward, *_ = pool[0].call("step", action)
        steps.append(Step(action, observation, f"Action: {action}", reward=reward))
    return Trajectory(task_id, opening("", statement), tuple(steps), 0.0, "truncated")


def bisected(
    pool: EnvironmentPool,
    folder: Path,
    run: Trajectory,
    policy: Callable[[], Policy] = lambda: ExpertPolicy(noise=0.1),
    **options: Any,
) -> Bisected:
    return Bisection(
        run,
        likely=options.pop("likely", None),
        folder=folder,
        pool=pool,
        policy=lambda _: policy(),
        seed=0,
        success_threshold=1.0,
        **options,
    ).play()


PITFALL = ["east", "wait", "wait", "east", "jump", "east", "wait", "east", "east", "east"]


@pytest.mark.parametrize("likely", [None, 2, 5])
def test_the_step_that_lost_a_run(
    pool: EnvironmentPool, task_id: str, tmp_path: Path, likely: int | None
) -> None:
    """Wherever it is looked for first; where that is right, fewer places are played."""
    run = failed(pool, task_id, PITFALL)
    result = bisected(pool, tmp_path, run, likely=likely)
    assert result.step == 5 and result.is_cause
    assert result.measured is not None
    assert [side.action for side in result.measured.contrast.sides] == ["east", "jump"]
    of = {place.num_steps: place for place in result.places}
    assert not of[4].is_lost and of[5].is_lost and of[10].is_lost
    assert of[10].successes == (False,) * len(of[10].successes)
    if likely == 5:
        assert len(of) == 4
    again = bisected(pool, tmp_path, run, likely=likely)  # its journals are there
    assert again.places == result.places and again.measured == result.measured
    assert again.num_episodes == 0


def test_a_step_that_ends_the_run(pool: EnvironmentPool, task_id: str, tmp_path: Path) -> None:
    run = failed(pool, task_id, ["east", "east", "jump"])
    result = bisected(pool, tmp_path, run)
    assert result.step == 3


def test_a_policy_that_never_succeeds_tells_nothing(
    pool: EnvironmentPool, task_id: str, tmp_path: Path
) -> None:
    result = bisected(pool, tmp_path, failed(pool, task_id, PITFALL), RandomPolicy)
    assert result.step is None and result.measured is None
    assert result.why_not is not None and "from the task's start the policy succeeds in" in (
        result.why_not
    )


def test_continuations_that_fail_are_no_evidence(
    pool: EnvironmentPool, task_id: str, tmp_path: Path
) -> None:
    """Another answer than the recorded one: the places of the run cannot be restored."""
    run = failed(pool, task_id, PITFALL)
    steps = (Step("east", "You fly.", "Action: east"), *run.steps[1:])
    other = Trajectory(task_id, run.prompt, steps, 0.0, "truncated")
    result = bisected(pool, tmp_path, other, max_attempts=1)
    assert result.step is None
    assert result.why_not is not None and "could not be played" in result.why_not


def test_a_run_that_succeeded_is_refused(
    pool: EnvironmentPool, task_id: str, tmp_path: Path
) -> None:
    run = failed(pool, task_id, ["east"])
    won = Trajectory(task_id, run.prompt, run.steps, 1.0, "done")
    with pytest.raises(InvalidInput, match="only a run that failed"):
        bisected(pool, tmp_path, won)


@pytest.mark.java
def test_a_planted_fault_in_a_text_game() -> None:
    pytest.importorskip("textworld_express")
    game, params, max_steps = GAMES[0]
    options = TextWorldExpressOptions(game=game, params=params, max_steps=max_steps)
    with EnvironmentPool(options.factory(), 1) as pool:
        (fault, *_) = planted(pool, [f"{game}/train/{i}" for i in (3,)])
        row = named(pool, fault, 0.2)
    assert row["by playing"] == row["planted"]
    assert row["verdict"] == "confirmed"


@pytest.mark.slow
@pytest.mark.java
def test_fifty_planted_faults() -> None:
    """pytest -m slow tests/rollouts/test_bisection.py: ten minutes and more (docs/bisect.md)."""
    pytest.importorskip("textworld_express")
    rows = list(found(50, 0.2))
    assert len(rows) == 50
    num_right = sum(row["by playing"] == row["planted"] for row in rows)
    assert num_right >= 45, summary(rows)
