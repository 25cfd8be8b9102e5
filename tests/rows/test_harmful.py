"""Steps of runs that are not to be imitated, against the definitions written out run by run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import DYADIC, trajectory_lists

from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest
from w2stree.rows.harmful import (
    Harm,
    below_siblings,
    estimated_shrinkage,
    harmful_steps,
    loops,
    losses,
)
from w2stree.trajectories.trajectory import Message, Step, Trajectory

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]
History = tuple[str, tuple[tuple[str, str], ...]]


def _choices(run: Trajectory) -> Iterator[tuple[History, str | None]]:
    """Every history of a run, and the action taken there; None where it stopped."""
    path = tuple((s.action, s.observation) for s in run.steps)
    for t, step in enumerate(run.steps):
        yield (run.task_id, path[:t]), step.action
    yield (run.task_id, path), None


def _arms(runs: list[Trajectory]) -> dict[History, dict[str | None, list[float]]]:
    arms: dict[History, dict[str | None, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for history, action in _choices(run):
            arms[history][action].append(run.total_return)
    return arms


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _shrinkage(runs: list[Trajectory]) -> float:
    divergences = [list(arms.values()) for arms in _arms(runs).values() if len(arms) > 1]
    num_actions = sum(map(len, divergences))
    within = between = weight = spare = 0.0
    for arms in divergences:
        everything = [value for arm in arms for value in arm]
        spare += len(everything) - len(arms)
        within += sum((v - _mean(arm)) ** 2 for arm in arms for v in arm)
        between += sum(len(arm) * (_mean(arm) - _mean(everything)) ** 2 for arm in arms)
        weight += len(everything) - sum(len(arm) ** 2 for arm in arms) / len(everything)
    if not spare:
        return math.inf
    noise = within / spare
    variance = (between - (num_actions - len(divergences)) * noise) / weight
    return noise / variance if variance > 1e-12 else math.inf


@given(trajectory_lists(DYADIC))
def test_shrinkage_is_the_moment_estimate(runs: list[Trajectory]) -> None:
    expected = _shrinkage(runs)
    found = estimated_shrinkage(build_forest(runs))
    if math.isinf(expected):
        assert found > 1e6
    else:
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 1e6 / 7, -2.7])
@pytest.mark.parametrize("number", [5, 7, 11, 100])
def test_of_equal_returns_shrinkage_is_infinite(value: float, number: int) -> None:
    runs = [_run(Step("ab"[i % 2], "x"), total_return=value) for i in range(number)]
    assert estimated_shrinkage(build_forest(runs)) == math.inf
    tenths = [replace(run, total_return=sum([value / 10] * 10)) for run in runs[:2]]
    assert estimated_shrinkage(build_forest(tenths + runs[2:])) == math.inf, (
        "equal but for rounding"
    )


def test_shrinkage_does_not_depend_on_where_returns_begin() -> None:
    """Squares of 1e6 would hide differences of 0.001."""
    own = [("a", 0.001), ("a", 0.002), ("b", 0.004), ("b", 0.006)]
    near, far = (
        build_forest([_run(Step(a, "x"), total_return=start + r) for a, r in own])
        for start in (0.0, 1e6)
    )
    assert estimated_shrinkage(far) == pytest.approx(estimated_shrinkage(near), rel=1e-5)


def test_returns_that_cannot_be_squared_are_refused() -> None:
    runs = [_run(Step(a, "x"), total_return=r) for a, r in (("a", 1.0), ("b", 1e200))]
    with pytest.raises(
        InvalidInput, match=r"total_return\[1\] is 1e\+200; expected at most 1e\+150"
    ):
        estimated_shrinkage(build_forest(runs))


@given(
    trajectory_lists(DYADIC),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from([0.0, 0.05, 0.25]),
)
def test_a_step_is_harmful_where_its_shrunk_value_is_below(
    runs: list[Trajectory], k: float, threshold: float
) -> None:
    found = below_siblings(build_forest(runs), threshold, k)
    arms = _arms(runs)
    for run, marks in zip(runs, found, strict=True):
        expected = []
        for history, action in _choices(run):
            of_action = arms[history][action]
            everything = [v for arm in arms[history].values() for v in arm]
            weight = len(of_action) / (len(of_action) + k)
            expected.append(weight * (_mean(of_action) - _mean(everything)) < -threshold - 1e-9)
        assert marks == expected[:-1]


def _run(*steps: Step, total_return: float = 0.0) -> Trajectory:
    prompt = (Message("user", "Put the cup away.\nYou are in the kitchen."),)
    return Trajectory("t", prompt, steps, total_return, "truncated")


def _go(place: str, reward: float | None = None) -> Step:
    return Step(f"go {place}", f"You are in the {place}.", reward=reward)


TAKE = Step("take cup", "You take the cup.", reward=0.25)


def test_a_step_that_is_done_again_and_what_it_undoes_are_loops() -> None:
    hall, cellar = _go("hall"), _go("cellar")
    assert loops(_run(hall, cellar, hall, cellar)) == [False, True, True, True]
    assert loops(_run(hall, cellar, TAKE, hall)) == [False, False, False, True]
    assert loops(_run(hall, _go("cellar", 0.5), hall)) == [False, False, True]
    assert loops(_run(hall, hall)) == [False, True]
    other = replace(hall, observation="You are in the hall. A cup is here.")
    assert loops(_run(hall, cellar, other)) == [False, False, False]
    assert loops(_run()) == []


def test_an_answer_that_the_opening_gave_leads_back_to_the_start() -> None:
    look = Step("look around", "You are in the kitchen.")
    assert loops(_run(look, TAKE, look)) == [True, False, True]
    assert loops(_run(_go("hall"), look)) == [True, True]
    assert loops(_run(Step("wait", ""), TAKE)) == [False, False]


def test_a_fallen_score_is_a_loss() -> None:
    steps = [TAKE, replace(TAKE, reward=-0.25), replace(TAKE, reward=None), _go("hall", 0.0)]
    assert losses(steps) == [False, True, False, False]


def test_signs_add_up() -> None:
    hall, cellar = _go("hall"), _go("cellar")
    lost = Step("put cup in cellar", "Done.", reward=-0.25)
    runs = [_run(hall, hall, lost), _run(cellar, total_return=1.0), _run(cellar, total_return=1.0)]
    forest = build_forest(runs)
    assert harmful_steps(forest, Harm(signs=("loop",)))[0] == [False, True, False]
    assert harmful_steps(forest, Harm(signs=("loss", "loop")))[0] == [False, True, True]
    both = Harm(signs=("value", "loss"), shrinkage=1.0)
    assert harmful_steps(forest, both) == [[True, False, True], [False], [False]]
    unsure = Harm(signs=("value",), shrinkage=100.0)
    assert harmful_steps(forest, unsure) == [[False] * 3, [False], [False]]
    assert harmful_steps(forest, Harm(signs=())) == [[False] * 3, [False], [False]]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"signs": ("value", "luck")}, r"signs is .*'luck'\); use some of value, loss, loop"),
        ({"signs": ("loop", "loop")}, "once each"),
        ({"threshold": -0.1}, r"threshold is -0\.1; give a number of at least 0"),
        ({"shrinkage": math.inf}, "shrinkage is inf; give a number of at least 0"),
        ({"shrinkage": "2"}, "shrinkage is '2'; give a number or None"),
    ],
)
def test_other_settings_are_refused(given: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Harm(**given)  # type: ignore[arg-type]
