"""The state graph equals the oracle exactly: columns, values, paths, and every path there is."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.quiet import QUIET
from support.state_oracle import Found, States
from support.strategies import trajectory_lists

from w2stree import Forest, StateGraph, StatePath, Trajectory, build_forest

KEYS = st.sampled_from([None, None, "hall", "", "cellar", 0, 7, 2**40, ("hall", "open")])
COLUMNS = (
    *("node_state", "node_edge", "previous_visit", "root_state", "tree_id", "first_visit"),
    *("first_edge", "source", "action_id", "target", "first_node", "first_trajectory", "count"),
    *("share", "mean_reward", "value"),
)
THRESHOLDS = st.sampled_from([-1.0, 0.0, 0.3, 0.5, 1.0, 2.0])


pytestmark = QUIET


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Trajectory], list[Hashable | None]]:
    """Trajectories, some of whose steps were paid, and a key for each node."""
    trajectories = [
        replace(t, steps=tuple(replace(s, reward=draw(REWARDS)) for s in t.steps))
        for t in draw(trajectory_lists())
    ]
    num_nodes = build_forest(trajectories).num_nodes
    pool = draw(st.lists(KEYS, min_size=1, max_size=6))
    return trajectories, [draw(st.sampled_from(pool)) for _ in range(num_nodes)]


REWARDS = st.sampled_from([None, 0.0, 0.25, -1.0])
WORLDS = worlds()


def expected_columns(states: States, worth: str) -> dict[str, list]:
    tree_of_root = {root: i for i, root in enumerate(states.root_state)}
    tree_id = [
        tree_of_root[max(root for root in states.root_state if root <= state)]
        for state in range(states.num_states)
    ]
    sources = [source for source, _, _ in states.edges]
    return {
        "node_state": states.node_state,
        "node_edge": states.node_edge(),
        "previous_visit": states.previous_visit(),
        "root_state": states.root_state,
        "tree_id": tree_id,
        "first_visit": [states.node_state.index(state) for state in range(states.num_states)],
        "first_edge": [sum(s < state for s in sources) for state in range(states.num_states + 1)],
        "source": sources,
        "action_id": [action for _, action, _ in states.edges],
        "target": [target for _, _, target in states.edges],
        "first_node": [min(states.seen[edge].nodes) for edge in states.edges],
        "first_trajectory": [min(states.seen[edge].trajectories) for edge in states.edges],
        "count": [len(states.seen[edge].trajectories) for edge in states.edges],
        "share": states.share(),
        "mean_reward": states.mean_reward(),
        "value": states.values(worth),
    }


def as_found(path: StatePath | None) -> Found | None:
    return None if path is None else Found(path.states[-1], path.edges, path.trajectory)


def assert_fits(path: StatePath | None, graph: StateGraph, states: States) -> None:
    """What a path says of itself, step by step."""
    if path is None:
        return
    forest = graph.forest
    assert len(path.states) == len(path) + 1 == len(path.actions) + 1 == len(path.nodes) + 1
    assert len(set(path.states)) == len(path.states)
    for i, edge in enumerate(path.edges):
        action = states.actions.index(path.actions[i])
        assert states.edges[edge] == (path.states[i], action, path.states[i + 1])
        assert graph.node_edge[path.nodes[i]] == edge
        taken = states.seen[states.edges[edge]].trajectories
        assert path.trajectories[i] == min(taken)
    assert path.task_id == forest.task_ids[graph.tree_of(path.states[0])]
    assert path.value == graph.value[path.states[-1]]
    assert path.is_recombined == (path.trajectory is None)


@given(WORLDS, st.sampled_from(["best", "mean"]))
@settings(max_examples=300)
def test_columns(world: tuple[list[Trajectory], list], worth: str) -> None:
    trajectories, keys = world
    graph = build_forest(trajectories).states(keys, value=worth)
    states = States(trajectories, keys)
    for name, values in expected_columns(states, worth).items():
        np.testing.assert_array_equal(getattr(graph, name), values, err_msg=name)
        assert not getattr(graph, name).flags.writeable, name
    assert graph.num_states == states.num_states
    assert graph.num_edges == len(states.edges)
    assert graph.num_disagreements == states.num_disagreements()


@given(WORLDS, st.sampled_from(["best", "mean"]), THRESHOLDS, st.data())
@settings(max_examples=300)
def test_paths(
    world: tuple[list[Trajectory], list], worth: str, threshold: float, data: st.DataObject
) -> None:
    trajectories, keys = world
    forest = build_forest(trajectories)
    graph, states = forest.states(keys, value=worth), States(trajectories, keys)
    values = states.values(worth)
    start = data.draw(st.lists(st.integers(0, states.num_states - 1), max_size=6))
    without = data.draw(st.lists(st.integers(0, max(len(states.edges) - 1, 0)), max_size=4))
    without = without if states.edges else []
    best = graph.best_paths(start=start, without=without)
    shortest = graph.shortest_paths(threshold, start=start, without=without)
    for i, state in enumerate(start):
        assert_fits(best[i], graph, states)
        assert as_found(best[i]) == states.best_path(values, state, without)
        assert_fits(shortest[i], graph, states)
        assert as_found(shortest[i]) == states.shortest_path(values, threshold, state, without)
    distance = graph.distance_to_goal(threshold, without=without)
    assert distance.tolist() == states.distance_to_goal(values, threshold, without)


@given(WORLDS, THRESHOLDS)
@settings(max_examples=100)
def test_paths_of_all_trees(world: tuple[list[Trajectory], list], threshold: float) -> None:
    trajectories, keys = world
    forest = build_forest(trajectories)
    graph, states = forest.states(keys), States(trajectories, keys)
    values = states.values("best")
    for i, (task_id, root) in enumerate(zip(forest, states.root_state, strict=True)):
        best, goal = graph.best_path(task_id), graph.shortest_path(task_id, threshold)
        assert graph.best_paths()[i] == best
        assert graph.shortest_paths(threshold)[i] == goal
        assert as_found(best) == states.best_path(values, root)
        assert as_found(goal) == states.shortest_path(values, threshold, root)
        if goal is not None:
            assert len(goal) == graph.distance_to_goal(threshold)[root]


@given(WORLDS, THRESHOLDS)
@settings(max_examples=60)
def test_no_other_path_is_better(world: tuple[list[Trajectory], list], threshold: float) -> None:
    """Of all there are, tried one by one."""
    trajectories, keys = world
    graph, states = build_forest(trajectories).states(keys), States(trajectories, keys)
    values = states.values("best")
    for i, root in enumerate(states.root_state):
        ways = []
        for way in states.all_ways_from(root, ()):
            ways.append(way)
            if len(ways) > 3000:  # too many to try
                return
        assert as_found(graph.best_paths()[i]) == states.chosen(values, root, ways, None)
        nearest = graph.shortest_paths(threshold)[i]
        assert as_found(nearest) == states.chosen(values, root, ways, threshold)


@given(WORLDS, st.sampled_from(["best", "mean"]), st.data())
@settings(max_examples=100)
def test_scores(world: tuple[list[Trajectory], list], worth: str, data: st.DataObject) -> None:
    trajectories, keys = world
    forest = build_forest(trajectories)
    some = st.sampled_from([math.nan, 0.0, 0.1, 0.7, -3.0, 1e300])
    scores = [data.draw(some) for _ in range(forest.num_nodes)]
    expected = States(trajectories, keys).values(worth, scores)
    as_given = [None if math.isnan(score) else score for score in scores]
    for given_scores in (as_given, np.array(scores)):
        graph = forest.states(keys, value=worth, scores=given_scores)
        np.testing.assert_array_equal(graph.value, expected)


@given(WORLDS, THRESHOLDS)
@settings(max_examples=50)
def test_threads_do_not_change_the_result(
    world: tuple[list[Trajectory], list], threshold: float
) -> None:
    trajectories, keys = world
    forest = build_forest(trajectories)

    def outcome(num_threads: int) -> list[bytes]:
        graph = forest.states(keys, num_threads=num_threads)
        best = graph.best_paths(num_threads=num_threads)
        shortest = graph.shortest_paths(threshold, num_threads=num_threads)
        found = [getattr(graph, name) for name in COLUMNS]
        for paths in (best, shortest):
            found += [paths.end, paths.trajectory, paths.offset, paths.edge]
        found.append(graph.distance_to_goal(threshold, num_threads=num_threads))
        return [column.tobytes() for column in found]

    one = outcome(1)
    assert all(outcome(num_threads) == one for num_threads in range(2, 6))


@given(trajectory_lists())
@settings(max_examples=50)
def test_without_keys_the_graph_is_the_forest(trajectories: list[Trajectory]) -> None:
    forest: Forest = build_forest(trajectories)
    graph = forest.states([None] * forest.num_nodes)
    assert graph.node_state.tolist() == list(range(forest.num_nodes))
    assert graph.num_edges == forest.num_nodes - len(forest)
    assert (graph.previous_visit == -1).all()
    assert not graph.best_paths().is_recombined.any()
    inner = graph.node_edge >= 0
    edges = graph.node_edge[inner]
    assert (graph.source[edges] == forest.parent[inner]).all()
    assert (graph.target[edges] == np.flatnonzero(inner)).all()
    assert (graph.count[edges] == forest.num_trajectories[inner]).all()
