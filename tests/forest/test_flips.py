"""Which action parts a task's failures from its successes, by the runs alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from w2stree import Message, Step, Trajectory, build_forest
from w2stree.errors import IdenticalTrajectories
from w2stree.forest.flips import Flip, flips_of, runs_taking, separate_flips
from w2stree.forest.tree import Tree


def tree_of(*runs: tuple[str, float]) -> Tree:
    """Runs by their actions' letters; every action answers with what was done so far."""
    prompt = (Message("user", "do it"),)
    trajectories = [
        Trajectory(
            "t",
            prompt,
            tuple(Step(action, actions[: i + 1]) for i, action in enumerate(actions)),
            value,
            "done",
        )
        for actions, value in runs
    ]
    return build_forest(trajectories)["t"]


def named(flips: Sequence[Flip]) -> list[tuple[int, str]]:
    return [(flip.step, flip.after.action) for flip in flips]


def test_a_success_after_an_action_speaks_against_it() -> None:
    """The run left the others at step 1 with one that succeeded: it was not lost there."""
    tree = tree_of(("abxy", 0), ("abz", 1), *[("cde", 1)] * 8)
    first, second = flips_of(tree, 1.0, run=0)
    assert named([first, second]) == [(3, "x"), (1, "a")]
    assert (first.after.num_runs, first.after.num_success) == (1, 0)
    assert (first.num_other, first.num_success_other) == (9, 9)
    assert [(s.action, s.num_runs, s.num_success) for s in first.siblings] == [("z", 1, 1)]
    assert (first.run, first.num_alike) == (0, 2)
    assert first.share + second.share == pytest.approx(1)


def test_many_failures_outweigh_a_single_run() -> None:
    """The likelihoods by hand: B(2, 4) B(6, 2) at step 1, B(1, 2) B(7, 4) at step 2."""
    tree = tree_of(("ax", 0), ("ay", 0), ("az", 0), ("aw", 1), *[("b", 1)] * 5, ("bq", 0))
    flips = flips_of(tree, 1.0, run=0)
    assert named(flips) == [(1, "a"), (2, "x")]

    def beta(a: int, b: int) -> float:
        return math.gamma(a) * math.gamma(b) / math.gamma(a + b)

    one, two = beta(2, 4) * beta(6, 2), beta(1, 2) * beta(7, 4)
    assert flips[0].share == pytest.approx(one / (one + two))


def test_of_equally_likely_steps_the_first() -> None:
    tree = tree_of(("xa", 0), ("ya", 1))
    assert named(flips_of(tree, 1.0)) == [(1, "x")]
    twice = tree_of(("x", 0), ("z", 0), ("y", 1), ("y", 1))
    assert named(flips_of(twice, 1.0)) == [(1, "x"), (1, "z")]


def test_a_task_has_several_causes() -> None:
    runs = [("abx", 0)] * 3 + [("c", 0)] * 2 + [("aby", 1)] * 6
    found = separate_flips(tree_of(*runs), 1.0, most=5)
    assert named(found) == [(3, "x"), (1, "c")]
    assert [flip.run for flip in found] == [0, 3]
    assert (found[1].num_other, found[1].num_success_other) == (6, 6)
    tree = tree_of(*runs)
    assert runs_taking(tree, found[0].node, "x") == [0, 1, 2]


def test_an_answer_that_differs_is_luck_and_no_step() -> None:
    prompt = (Message("user", "do it"),)
    runs = [
        Trajectory("t", prompt, (Step("a", answer), Step("b", "end")), value, "done")
        for answer, value in (("heads", 1.0), ("tails", 0.0))
    ]
    with pytest.warns(IdenticalTrajectories):
        forest = build_forest(runs)
    assert flips_of(forest["t"], 1.0) == []


@pytest.mark.parametrize("values", [(0, 0), (1, 1)])
def test_without_success_or_failure_nothing_flips(values: tuple[float, float]) -> None:
    tree = tree_of(("ab", values[0]), ("ac", values[1]))
    assert flips_of(tree, 1.0) == []
    assert separate_flips(tree, 1.0, most=3) == []


def test_an_action_that_does_no_worse_is_none() -> None:
    tree = tree_of(("a", 1), ("a", 1), ("ax", 0), ("b", 1), ("b", 0), ("b", 0))
    assert (1, "a") not in named(flips_of(tree, 1.0))
    assert named(flips_of(tree, 1.0))[0] == (1, "b")


def test_a_threshold_equal_but_for_rounding_is_reached() -> None:
    tree = tree_of(("a", 0.1 + 0.2), ("b", 0.2))
    assert named(flips_of(tree, 0.3)) == [(1, "b")]
