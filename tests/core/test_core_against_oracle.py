"""The core equals the oracle exactly, on trajectories that collide on purpose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparisons import assert_forest_equals_oracle, assert_search_equals_demo, keys
from support.quiet import QUIET
from support.strategies import DYADIC, episode, trajectory_lists

from w2stree import Forest, Trajectory, build_forest

SEARCHES = st.fixed_dictionaries(
    {
        "num_simulations": st.sampled_from([1, 2, 3, 7, 50, 200]),
        "exploration": st.sampled_from([0.0, 0.1, 1.41, 100.0]),
        "stop_arm": st.booleans(),
    }
)


pytestmark = QUIET


@given(trajectory_lists())
@settings(max_examples=300)
def test_forest(trajectories: list[Trajectory]) -> None:
    assert_forest_equals_oracle(build_forest(trajectories), trajectories)


@given(trajectory_lists(), SEARCHES)
@settings(max_examples=300)
def test_search_without_stop_equals_the_demo(trajectories: list[Trajectory], options: dict) -> None:
    forest = build_forest(trajectories)
    num_simulations, exploration = options["num_simulations"], options["exploration"]
    assert_search_equals_demo(forest, trajectories, num_simulations, exploration)


@given(trajectory_lists())
def test_trajectories_share_a_node_iff_they_share_the_prefix(
    trajectories: list[Trajectory],
) -> None:
    forest = build_forest(trajectories)
    paths = [list(reversed(list(climb(forest, int(end))))) for end in forest.end_node]
    for left, left_path in zip(trajectories, paths, strict=True):
        for right, right_path in zip(trajectories, paths, strict=True):
            for depth in range(min(len(left_path), len(right_path))):
                same_prefix = left.task_id == right.task_id and all(
                    (a.action, a.observation) == (b.action, b.observation)
                    for a, b in zip(left.steps[:depth], right.steps[:depth], strict=True)
                )
                assert (left_path[depth] == right_path[depth]) == same_prefix


def climb(forest: Forest, node: int) -> Iterator[int]:
    while node >= 0:
        yield node
        node = int(forest.parent[node])


@given(trajectory_lists(DYADIC))
def test_counts_are_conserved(trajectories: list[Trajectory]) -> None:
    forest = build_forest(trajectories)
    through = forest.num_terminal.astype(np.int64)
    returns = np.zeros(forest.num_nodes)
    np.add.at(returns, forest.end_node, forest.total_return)
    is_child = forest.parent >= 0
    np.add.at(through, forest.parent[is_child], forest.num_trajectories[is_child])
    np.add.at(returns, forest.parent[is_child], forest.return_sum[is_child])
    assert (through == forest.num_trajectories).all()
    assert (returns == forest.return_sum).all()
    assert forest.num_terminal.sum() == len(trajectories)


@given(trajectory_lists(), SEARCHES)
def test_visits_are_conserved(trajectories: list[Trajectory], options: dict) -> None:
    forest = build_forest(trajectories)
    result = forest.search(**options, return_range=(-1, 1))
    visits = result.stop_visit_count.copy()
    is_child = forest.parent >= 0
    np.add.at(visits, forest.parent[is_child], result.visit_count[is_child])
    assert (visits == result.visit_count).all()
    assert (result.visit_count[forest.root] == options["num_simulations"]).all()


@given(trajectory_lists(DYADIC), st.randoms(use_true_random=False))
def test_input_order_only_relabels(trajectories: list[Trajectory], random) -> None:
    shuffled = random.sample(trajectories, len(trajectories))
    left, right = build_forest(trajectories), build_forest(shuffled)
    assert node_facts(left) == node_facts(right)
    assert pair_facts(left) == pair_facts(right)
    assert left.summary() == right.summary()


def node_facts(forest: Forest) -> dict:
    """What is known of each node, by the history it stands for."""
    columns = (forest.num_trajectories, forest.num_terminal, forest.num_children)
    facts = {}
    for node in range(forest.num_nodes):
        task = forest.trajectories[forest.trajectory_order[forest.first_trajectory[node]]].task_id
        history = (task, *(keys(forest)[n] for n in climb(forest, node)))
        facts[history] = (*(int(c[node]) for c in columns), float(forest.return_sum[node]))
    return facts


def pair_facts(forest: Forest) -> list[str]:
    return sorted(repr((p.task_id, p.depth, p.chosen, p.rejected, p.gap)) for p in forest.pairs())


@given(trajectory_lists())
def test_sides_of_a_pair_share_their_prefix_and_differ_in_the_action(
    trajectories: list[Trajectory],
) -> None:
    for pair in build_forest(trajectories).pairs():
        chosen, rejected, depth = pair.chosen, pair.rejected, pair.depth
        assert chosen.task_id == rejected.task_id == pair.task_id
        assert chosen.steps[:depth] == rejected.steps[:depth]
        assert chosen.steps[depth].action != rejected.steps[depth].action
        assert pair.gap == chosen.total_return - rejected.total_return > 0


def test_worked_example() -> None:
    """design.md: the best trajectory `ab` ends where `abc` goes on; the demo cannot see it."""
    trajectories = [episode("ab", 1.0), episode("abc", 0.0), episode("ad", 0.3)]
    forest = build_forest(trajectories)
    assert forest.search().best_trajectories() == [trajectories[0]]
    assert forest.search(stop_arm=False).best_trajectories() == [trajectories[2]]
