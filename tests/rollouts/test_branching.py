"""Branching: nodes are chosen where outcomes differ, and episodes go on from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.lock import Lock

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest
from w2stree.forest.merging import Merging
from w2stree.policies.protocol import Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.branching import choose_nodes, plan_branches, steps_to
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Exploration, plan_episodes
from w2stree.rollouts.node_information import node_information
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Step, Trajectory


def test_a_rule_of_another_type_is_refused() -> None:
    plan: Any = plan_branches
    with pytest.raises(InvalidInput, match="merging is 'sort_words'; give a Merging or None"):
        plan([], [], episodes_per_task=1, criterion="uncertainty", seed=0, merging="sort_words")


def walk(task_id: str, sample: int, actions: str, total_return: float) -> Trajectory:
    steps = tuple(Step(a, f"after {actions[: i + 1]}") for i, a in enumerate(actions))
    return Trajectory(task_id, (), steps, total_return, "done", Origin(sample))


#   ─ a ─ b ─┬─ c   1.0          the variance of returns after "ab" is 0.25, after "x" 0.2025
#            └─ d   0.0
#   ─ x ─┬─ c       0.9, 0.9
#        └─ d       0.0, 0.0
WALKS = [
    walk("t", i, actions, total_return)
    for i, (actions, total_return) in enumerate(
        [("abc", 1.0), ("abd", 0.0), ("xc", 0.9), ("xc", 0.9), ("xd", 0.0), ("xd", 0.0)]
    )
]


def test_nodes_are_chosen_where_returns_differ() -> None:
    tree = build_forest(WALKS)["t"]
    chosen = choose_nodes(tree, "return_variance")
    assert [[s.action for s in steps_to(tree, node)] for node in chosen] == [["a", "b"], ["x"]]


def test_another_criterion_is_refused() -> None:
    wrong: Any = "variance"
    with pytest.raises(InvalidInput, match="criterion is 'variance'; use return_variance, "):
        choose_nodes(build_forest(WALKS)["t"], wrong)


def test_nodes_are_those_of_the_rule() -> None:
    """Answers in other words are two nodes, or one where the rule says so."""
    words = ("a key, a lamp", "A lamp, a key.")
    walks = [
        Trajectory(
            *("t", (), (Step("look", words[i % 2]), Step("cd"[i // 2], "")), float(i // 2), "done"),
            Origin(sample_index=i),
        )
        for i in range(4)
    ]
    options = {"episodes_per_task": 2, "criterion": "return_variance", "seed": 0}
    exact = plan_branches(walks, [Sampling(1.0)], **options)
    merged = plan_branches(
        walks, [Sampling(1.0)], merging=Merging(normalize_observation="sort_words"), **options
    )
    assert [plan.prefix[0].observation for plan in exact] == list(words)
    assert [plan.prefix[0].observation for plan in merged] == [words[0]] * 2


def test_uncertainty_prefers_the_less_visited() -> None:
    walks = [walk("t", 0, "ac", 0.8), walk("t", 1, "ad", 0.0)]
    walks += [walk("t", i, "xc" if i % 2 else "xd", float(i % 2)) for i in range(2, 22)]
    tree = build_forest(walks)["t"]

    def best(criterion: Any) -> str:
        return steps_to(tree, choose_nodes(tree, criterion)[0])[0].action

    assert best("return_variance") == "x"  # 0.25 against 0.16
    assert best("uncertainty") == "a"  # 0.5 / sqrt(19) against 0.4 / sqrt(1)


def test_information_is_what_one_more_run_would_tell_of_an_action() -> None:
    """Returns 0 and 1; the root's posterior mean is (2 + .5) / 7 for 1, of seven runs' worth."""
    walks = [walk("t", 0, "ax", 1.0), *(walk("t", i, "bx", 0.0) for i in range(1, 5))]
    walks += [walk("t", 5, "c", 1.0)]
    tree = build_forest(walks)["t"]
    found = node_information(tree)
    a, b = (tree.root + 1, tree.root + 3)
    prior = 2.5 / 7

    def reduction(num_good: int, num: int) -> float:
        p = (num_good + prior) / (num + 1)
        return p * (1 - p) / (num * (num + 1))

    assert found == pytest.approx({a: reduction(1, 1), b: reduction(0, 4)})  # "c" ended it
    assert choose_nodes(tree, "information") == [a, b]


def test_nothing_is_to_be_learned_where_all_returns_are_equal() -> None:
    tree = build_forest([walk("t", 0, "ab", 0.5), walk("t", 1, "cd", 0.5)])["t"]
    assert choose_nodes(tree, "information") == []


def test_branches_are_planned_from_the_best_nodes_in_turn() -> None:
    samplings = [Sampling(0.7), Sampling(0.0), Sampling(1.0, model="base")]
    options: Any = {"episodes_per_task": 3, "criterion": "return_variance", "seed": 9}
    walks = [*WALKS, walk("u", 0, "ab", 0.5), walk("u", 1, "ac", 0.5)]  # nothing differs in u
    plans = plan_branches(walks, samplings, **options)
    ab, x = WALKS[0].steps[:2], WALKS[2].steps[:1]
    assert plans == [
        EpisodePlan("t", 3, Sampling(0.7), 9, prefix=ab),
        EpisodePlan("t", 4, Sampling(1.0, model="base"), 9, prefix=x),
        EpisodePlan("t", 5, Sampling(0.7), 9, prefix=ab),
    ]
    assert plan_branches(walks[::-1], samplings, **options) == plans
    known = [replace(w, origin=replace(w.origin, tokenizer=f"{w.task_id}'s")) for w in walks]
    assert {p.prefix_tokenizer for p in plan_branches(known, samplings, **options)} == {"t's"}
    with pytest.raises(InvalidInput, match="a temperature above 0"):
        plan_branches(walks, [Sampling(0.0)], **options)


def test_a_task_that_differs_at_its_root_only_restarts_there() -> None:
    walks = [walk("t", 0, "ab", 1.0), walk("t", 1, "cd", 0.0)]
    (plan,) = plan_branches(
        walks, [Sampling()], episodes_per_task=1, criterion="uncertainty", seed=0
    )
    assert plan.prefix == ()


def test_a_branch_begins_with_its_prefix_and_goes_on_from_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "episodes.journal"
    with Journal(path) as journal, EnvironmentPool(Lock, 4) as pool:
        exploration = Exploration(journal, LocalExecutor(pool, lambda _: RandomPolicy()))
        samplings = [Sampling()] * 30
        exploration.play(plan_episodes(["lock/0"], samplings, seed=1))
        plans = plan_branches(
            list(journal.episodes()),
            samplings,
            episodes_per_task=4,
            criterion="return_variance",
            seed=1,
        )
        assert [s.action for s in plans[0].prefix] == ["turn right", "turn left"]
        assert exploration.play(plans)
    by_sample = {t.origin.sample_index: t for t in read_trajectories(path)}
    branched = [by_sample[plan.sample_index] for plan in plans]
    assert len(by_sample) == 34
    for trajectory, plan in zip(branched, plans, strict=True):
        assert trajectory.steps[: len(plan.prefix)] == plan.prefix
        assert trajectory.origin.prefix_length == len(plan.prefix)
        assert len(trajectory.steps) == 3
        assert trajectory.status in ("done", "truncated")
