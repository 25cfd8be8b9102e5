"""Informative pairs: what runs say of two actions, and what one more would."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from w2stree.forest.build import build_forest
from w2stree.forest.tree import Tree
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.branching import choose_nodes, plan_branches, steps_to
from w2stree.rollouts.free_returns import Taken, is_free, taken_actions
from w2stree.rollouts.informative_pairs import (
    estimated_posterior,
    estimated_prior_runs,
    expected_pairs,
    informative_pairs,
)
from w2stree.rows.confidence import Posterior
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Step, Trajectory

POSTERIOR = Posterior(sd=0.2)


def walk(sample: int, actions: str, total_return: float, prefix: int = 0) -> Trajectory:
    steps = tuple(Step(a, f"after {actions[: i + 1]}") for i, a in enumerate(actions))
    origin = Origin(sample, prefix_length=prefix)
    return Trajectory("t", (), steps, total_return, "done", origin)


def tree_of(*walks: tuple[str, float] | tuple[str, float, int]) -> Tree:
    return build_forest([walk(i, *its) for i, its in enumerate(walks)])["t"]


def node_after(tree: Tree, actions: str) -> int:
    nodes = range(tree.root, tree.root + tree.num_nodes)
    (node,) = [n for n in nodes if "".join(s.action for s in steps_to(tree, n)) == actions]
    return node


def test_a_run_counts_from_the_last_step_that_was_given_to_it() -> None:
    """Started after "ac", it says nothing of "a": it would perhaps have gone on otherwise."""
    tree = tree_of(("acx", 1.0), ("ady", 0.5), ("bx", 0.0), ("acz", 0.25, 2))
    assert [is_free(walk(0, "acz", 0.0, 2), depth) for depth in range(3)] == [False, True, True]
    root, after_a, after_ac = (node_after(tree, actions) for actions in ("", "a", "ac"))
    assert taken_actions(tree) == {
        root: [Taken("a", (0.5, 1.0), after_a), Taken("b", (0.0,), node_after(tree, "b"))],
        after_a: [
            Taken("c", (0.25, 1.0), after_ac),
            Taken("d", (0.5,), node_after(tree, "ad")),
        ],
        after_ac: [Taken("x", (1.0,), None), Taken("z", (0.25,), None)],
    }


def test_no_run_starts_after_one_of_several_answers() -> None:
    def lucky(sample: int, answer: str) -> Trajectory:
        return Trajectory("t", (), (Step("a", answer), Step("x", "")), 1.0, "done", Origin(sample))

    runs = [lucky(0, "heads"), lucky(1, "tails"), walk(2, "bx", 0.0)]
    tree = build_forest(runs)["t"]
    a, b = taken_actions(tree)[tree.root]
    assert (a.returns, a.start) == ((1.0, 1.0), None)
    assert b.start is not None
    assert list(expected_pairs(tree, POSTERIOR)) == [b.start]


def test_a_pair_informs_where_the_posterior_is_sure() -> None:
    good, bad = [("ax", 1.0), ("ay", 1.0)], [("bx", 0.0), ("by", 0.0)]
    tree = tree_of(*good, *bad, ("cx", 1.0))
    pairs = [pair for pair in informative_pairs(tree, POSTERIOR) if pair.node == tree.root]
    assert [(pair.better.action, pair.other.action) for pair in pairs] == [("a", "b")]
    assert pairs[0].confidence == POSTERIOR.that_greater((1.0, 1.0), (0.0, 0.0)) > 0.95
    less_sure = informative_pairs(tree, POSTERIOR, confidence=0.8)
    at_root = {(p.better.action, p.other.action) for p in less_sure if p.node == tree.root}
    assert at_root == {("a", "b"), ("c", "b")}


@pytest.mark.parametrize("sd", [0.05, 0.2, 0.5])
def test_one_run_a_side_is_never_sure(sd: float) -> None:
    assert Posterior(sd=sd).that_greater((1.0,), (0.0,)) < 0.95


def test_pairs_are_expected_where_little_is_missing() -> None:
    """One more 1.0 after "a", or one more 0.0 after "b", decides between them; "a" against "c" is
    decided, and "c" is no worse than "b". What was seen twice of two is the likelier."""
    tree = tree_of(("ax", 1.0), ("by", 0.0), ("bz", 0.0), ("cx", 0.0), ("cy", 0.0), ("cz", 0.0))
    found = expected_pairs(tree, POSTERIOR)
    a, b, c = (node_after(tree, action) for action in "abc")
    assert list(found) == [a, b, c]
    assert POSTERIOR.that_greater((1.0, 1.0), (0.0, 0.0)) > 0.95
    assert POSTERIOR.that_greater((1.0,), (0.0, 0.0, 0.0)) > 0.95
    assert POSTERIOR.that_greater((1.0,), (0.0, 0.0)) < 0.95
    assert found[a] == pytest.approx((1 + 1 / 6) / 2)  # with one run's worth of all six
    assert found[b] == pytest.approx((2 + 5 / 6) / 3)
    assert choose_nodes(tree, "informative_pairs", posterior=POSTERIOR)[:2] == [b, a]


def test_a_decided_pair_is_expected_no_more() -> None:
    tree = tree_of(*[("ax", 1.0)] * 4, *[("bx", 0.0)] * 4)
    assert len(informative_pairs(tree, POSTERIOR)) == 1
    assert set(expected_pairs(tree, POSTERIOR).values()) == {0.0}
    as_by_information = choose_nodes(tree, "information")
    assert choose_nodes(tree, "informative_pairs", posterior=POSTERIOR) == as_by_information != []


def test_where_all_returns_are_equal_nothing_is_expected() -> None:
    tree = tree_of(("ax", 0.5), ("bx", 0.5))
    assert choose_nodes(tree, "informative_pairs") == []


def test_the_priors_weight_is_that_of_drawn_effects() -> None:
    """Means of sd 0.1, returns of sd 0.2 around them: four runs' worth."""
    rng = np.random.default_rng(0)
    runs = []
    for task in range(300):
        for action in "abc":
            mean = 0.5 + 0.1 * rng.normal()
            for _ in range(4):
                run = walk(len(runs), action, mean + 0.2 * rng.normal())
                prompt = (Message("user", f"task {task}"),)
                runs.append(replace(run, task_id=f"t{task}", prompt=prompt))
    assert estimated_prior_runs(build_forest(runs)) == pytest.approx(4, rel=0.25)
    assert estimated_posterior(build_forest(runs)).prior_runs == pytest.approx(4, rel=0.25)
    alike = [replace(run, total_return=float(i % 4)) for i, run in enumerate(runs)]
    assert estimated_prior_runs(build_forest(alike)) == math.inf
    assert estimated_posterior(build_forest(alike)).prior_runs == 30


def test_without_a_posterior_it_is_the_one_that_the_forest_gives() -> None:
    tree = tree_of(("ax", 1.0), ("ay", 0.9), ("bx", 0.0), ("by", 0.0), ("cx", 0.4))
    posterior = estimated_posterior(tree.forest)
    assert posterior.prior_runs == 1  # the actions there matter more than what comes later
    assert posterior.sd == pytest.approx(math.sqrt(2 * 0.05**2 / 2))
    chosen = choose_nodes(tree, "informative_pairs", posterior=posterior)
    assert choose_nodes(tree, "informative_pairs") == chosen


def test_a_later_round_knows_what_the_earlier_found_and_counts_on() -> None:
    samplings = [Sampling(0.7), Sampling(1.0)]
    explored = [walk(0, "ax", 1.0), walk(1, "bx", 0.0)]
    branched = walk(2, "ay", 0.9, prefix=1)

    def plan(runs: list[Trajectory], num_before: int) -> tuple[int, float, str]:
        (one,) = plan_branches(
            runs,
            samplings,
            episodes_per_task=1,
            criterion="informative_pairs",
            seed=0,
            num_before=num_before,
        )
        return one.sample_index, one.sampling.temperature, one.prefix[0].action

    assert plan(explored, 0) == (2, 0.7, "a")
    assert plan([*explored, branched], 1) == (3, 1.0, "b")
    assert plan([*explored, branched], 2) == (4, 0.7, "b")
