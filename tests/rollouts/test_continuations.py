"""Continuations in a world whose values are known: right verdicts, few errors, the same again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.choices import Choices
from support.lock import Lock

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.continuations import Continuations, Continued, StepBudget
from w2stree.rollouts.contrasts import Contrast, choose_contrasts, contrast_at
from w2stree.rollouts.exploration import plan_episodes
from w2stree.rollouts.paired_looks import PairedLooks
from w2stree.rollouts.rollout import rollout
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Step, Trajectory

NUM_TASKS = 40


@pytest.fixture(scope="module")
def choices() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Choices, 4) as pool:
        yield pool


@pytest.fixture(scope="module")
def forest(choices: EnvironmentPool) -> Forest:
    plans = plan_episodes([f"choice/{i}" for i in range(NUM_TASKS)], [Sampling()] * 6, seed=3)
    return build_forest(rollout(choices, RandomPolicy(), plans, instruction=""))


def at_doors(forest: Forest) -> list[Contrast]:
    found = choose_contrasts(forest, order="gap", per_task=None, seed=0)
    return [contrast for contrast in found if contrast.depth == 0]


def measure(
    forest: Forest, contrasts: Sequence[Contrast], pool: EnvironmentPool, path: Path, **options: Any
) -> Continued:
    with Journal(path) as journal:
        return Continuations(
            forest,
            contrasts,
            options.pop("looks", PairedLooks()),
            journal=journal,
            pool=pool,
            policy=lambda _: RandomPolicy(),
            sampling=options.pop("sampling", Sampling()),
            seed=5,
            **options,
        ).play()


def test_causes_are_told_from_luck(forest: Forest, choices: EnvironmentPool, path: Path) -> None:
    """Six runs a task often prefer the wrong door; sixteen continuations a side do not."""
    contrasts = at_doors(forest)
    found = measure(forest, contrasts, choices, path)
    counts: Counter[tuple[str, str]] = Counter()
    for measured in found.measured:
        doors = {side.action for side in measured.contrast.sides}
        kind = "alike" if doors == {"good door", "same door"} else "differ"
        is_bad = kind == "differ" and measured.contrast.better.action == "bad door"
        counts[("wrong" if is_bad else kind), measured.verdict] += 1
    assert [m.contrast for m in found.measured] == contrasts
    assert counts["wrong", "confirmed"] == 0
    assert counts["wrong", "reversed"] > 0
    assert counts["differ", "confirmed"] > 10 * counts["differ", "reversed"]
    num_alike = sum(n for (kind, _), n in counts.items() if kind == "alike")
    assert num_alike - counts["alike", "undecided"] <= 0.1 * num_alike + 2


def test_both_sides_draw_the_same(forest: Forest, choices: EnvironmentPool, path: Path) -> None:
    """Behind two good doors the same coins are taken: no difference, and no more is played."""
    alike = [
        c for c in at_doors(forest) if {s.action for s in c.sides} == {"good door", "same door"}
    ]
    found = measure(forest, alike, choices, path)
    assert alike
    for measured in found.measured:
        assert measured.returns[0] == measured.returns[1]
        assert len(set(measured.returns[0])) > 1 or len(measured.returns[0]) < 5
        assert (measured.verdict, len(measured.differences)) == ("undecided", 4)
    assert len(found.trajectories) == 8 * len(alike)
    assert found.num_environment_steps == 4 * len(found.trajectories)
    assert found.num_turns == 3 * len(found.trajectories)
    assert {t.origin.prefix_length for t in found.trajectories} == {1}


def test_what_ended_the_episode_is_not_played_again(
    forest: Forest, choices: EnvironmentPool, path: Path
) -> None:
    odd = [c for c in at_doors(forest) if "odd door" in {s.action for s in c.sides}][:3]
    found = measure(forest, odd, choices, path)
    assert {t.steps[0].action for t in found.trajectories} & {"odd door"} == set()
    for measured in found.measured:
        which = [side.action for side in measured.contrast.sides].index("odd door")
        assert set(measured.returns[which]) == {0.5}


def test_an_interrupted_measurement_goes_on(
    forest: Forest, choices: EnvironmentPool, tmp_path: Path
) -> None:
    contrasts = at_doors(forest)[:12]
    whole = measure(forest, contrasts, choices, tmp_path / "whole")
    played: list[Trajectory] = []

    def interrupt(state: Any) -> None:
        played.append(state.trajectory)
        if len(played) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(forest, contrasts, choices, tmp_path / "torn", progress=interrupt)
    with EnvironmentPool(Choices, 3) as other:
        again: list[Any] = []
        resumed = measure(forest, contrasts, other, tmp_path / "torn", progress=again.append)
    assert resumed.measured == whole.measured
    assert resumed.trajectories == whole.trajectories
    assert 0 < len(again) <= len(whole.trajectories) - 20


def test_a_budget_ends_it_between_contrasts(
    forest: Forest, choices: EnvironmentPool, path: Path
) -> None:
    contrasts = at_doors(forest)[:40]
    found = measure(forest, contrasts, choices, path, budget=StepBudget(turns=10))
    assert len(found.measured) == 32
    assert found.spent is not None and "the budget of 10 turns is spent" in found.spent
    assert {m.verdict for m in found.measured} <= {"undecided", "unfinished"}


def test_errors_are_no_returns(path: Path, tmp_path: Path) -> None:
    steps = {
        side: tuple(Step(a, f"click {i + 1}") for i, a in enumerate(actions))
        for side, actions in (
            ("right", ("turn right", "turn left", "turn right")),
            ("left", ("turn left", "wait", "wait")),
        )
    }
    walks = [
        Trajectory(task, (), taken, float(side == "right"), "done", Origin(sample_index=i))
        for task in ("lock/0", "lock/1")
        for i, (side, taken) in enumerate(steps.items())
    ]
    forest = build_forest(walks)
    contrasts = choose_contrasts(forest, order="gap", per_task=None, seed=0)
    world = _Jams(tmp_path)
    with EnvironmentPool(world, 2) as pool:
        found = measure(forest, contrasts, pool, path, max_attempts=1, looks=PairedLooks((8,)))
    jammed, free = found.measured
    assert (jammed.contrast.task_id, jammed.verdict, jammed.look) == ("lock/0", "unfinished", None)
    assert free.look is not None
    assert found.outcome.num_errors == 1
    assert all(t.status != "error" for t in found.trajectories)


class _Jams:
    """Makes locks whose first task kills one episode."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory

    def __call__(self) -> Any:
        return Lock(("lock/0",), 1, self._memory)


def test_contrasts_are_those_that_runs_disagree_about(forest: Forest) -> None:
    found = choose_contrasts(forest, order="gap", per_task=None, seed=0)
    for contrast in found:
        assert contrast.gap > 0 and contrast.support >= 1
        again = contrast_at(forest, contrast.node, contrast.better.action, contrast.other.action)
        assert again == contrast
        for side in contrast.sides:
            opening = contrast.opening(forest, side)
            assert len(opening.steps) == contrast.depth + 1
            assert opening.steps[-1].action == side.action
    first = choose_contrasts(forest, order="gap", per_task=1, seed=0)
    assert found[: len(first)] == first
    assert len({c.task_id for c in first}) == len(first)
    drawn = choose_contrasts(forest, order="random", per_task=2, seed=1)
    assert drawn == choose_contrasts(forest, order="random", per_task=2, seed=1)
    assert drawn != choose_contrasts(forest, order="random", per_task=2, seed=2)
    with pytest.raises(InvalidInput, match="no node 0 at which 'fly' did better"):
        contrast_at(forest, 0, "fly", "take")
    wrong: Any = "best"
    with pytest.raises(InvalidInput, match="order is 'best'"):
        choose_contrasts(forest, order=wrong, per_task=None, seed=0)
    for number in (0, -1):  # of a list all but the last one
        with pytest.raises(InvalidInput, match=f"per_task is {number}; give at least 1"):
            choose_contrasts(forest, order="gap", per_task=number, seed=0)


def test_a_policy_without_chance_is_refused(
    forest: Forest, choices: EnvironmentPool, path: Path
) -> None:
    with pytest.raises(InvalidInput, match="temperature is 0"):
        measure(forest, [], choices, path, sampling=Sampling(0.0))
