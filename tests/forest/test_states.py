"""Forest.states: what it takes for keys, what paths say, and what it refuses."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from support.strategies import PROMPT, episode

from w2stree import Forest, InvalidInput, Step, Trajectory, build_forest
from w2stree.forest.build import build_forest_from_ids

# The root, then the nodes of "abc" (1, 2, 3) and of "da" (4, 5); "a" leads to one state.
KEYS = [None, "a", "b", "c", "d", "a"]


@pytest.fixture
def forest() -> Forest:
    return build_forest([episode("abc", 1.0), episode("da", 0.25)])


def test_failures_that_each_did_half_make_one_path() -> None:
    """Neither run earns all: one never opens, the other goes around and forgets to look."""
    forest = build_forest([episode("tx", 0.25), episode("wto", 1.0), episode("tt", 0.0)])
    keys = [{"t": "taken", "w": None}.get(a, a) for a in actions_into(forest)]
    path = forest.states(keys).best_path("task")
    assert path is not None and path.is_recombined
    assert path.actions == ("t", "o")
    assert path.trajectories == (0, 1)
    assert path.value == 1.0
    assert [forest.observations[forest.observation_id[node]] for node in path.nodes] == [
        "usual"
    ] * 2


def test_a_run_without_detours_is_no_recombination(forest: Forest) -> None:
    path = forest.states(KEYS).best_path("task")
    assert path is not None and not path.is_recombined
    assert (path.actions, path.trajectory, path.states) == (("a", "b", "c"), 0, (0, 1, 2, 3))


def test_detours_are_cut() -> None:
    """The last step of a loop leads to where the first one began."""
    forest = build_forest([episode("lrab", 1.0)])
    graph = forest.states(["start", "left", "start", "mid", "end"])
    path = graph.shortest_path("task", 1.0)
    assert path is not None
    assert path.actions == ("a", "b") and path.is_recombined
    assert graph.previous_visit.tolist() == [-1, -1, 0, -1, -1]


def test_edges_that_playing_refutes_are_left_out(forest: Forest) -> None:
    graph = forest.states(KEYS)
    path = graph.best_path("task")
    assert path is not None
    around = graph.best_path("task", without=path.edges[:1])
    assert around is not None and around.is_recombined
    assert around.actions == ("d", "a", "b", "c")
    worse = graph.best_path("task", without=np.array([path.edges[0], around.edges[2]]))
    assert worse is not None and worse.value == 0.25
    assert graph.shortest_path("task", 0.9, without=[path.edges[-1]]) is None


def test_going_on_from_where_an_agent_stands(forest: Forest) -> None:
    graph = forest.states(KEYS)
    stands = int(graph.node_state[4])
    (path,) = graph.best_paths(start=[stands])
    assert path is not None and path.actions == ("a", "b", "c")
    assert graph.best_paths(start=[]).is_recombined.tolist() == []


def test_answers_that_differ_are_counted() -> None:
    forest = build_forest([episode(actions, 0.0) for actions in ("a", "a", "A", "b")])
    graph = forest.states(forest.observation_id)
    assert graph.num_disagreements == 1
    assert graph.share.tolist() == [2 / 3, 1 / 3, 1.0]
    assert "1 disagreements" in repr(graph)
    assert forest.states([0, 1, 1, 2]).num_disagreements == 0


def test_a_reward_is_the_mean_of_what_was_paid() -> None:
    steps = [("a", 0.5), ("a", None), ("a", 0.25), ("b", None)]
    forest = build_forest(
        Trajectory("task", PROMPT, (Step(action, "ok", reward=reward),), 1.0, "done")
        for action, reward in steps
    )
    reward = forest.states([None, None, None]).mean_reward
    np.testing.assert_array_equal(reward, [0.375, np.nan])


def test_a_task_without_runs_has_no_path() -> None:
    forest = without_runs("task")
    graph = forest.states([None])
    assert graph.best_path("task") is None
    paths = graph.best_paths()
    assert (paths.end.tolist(), paths.num_steps.tolist()) == ([-1], [0])
    assert np.isnan(paths.value).all() and list(paths) == [None]
    assert repr(paths) == "StatePaths(0 of 1 found, 0 recombined)"
    assert forest.states([None], scores=[0.5]).best_path("task") is not None


def test_a_forest_of_nothing_has_no_states() -> None:
    graph = without_runs().states([])
    assert (graph.num_states, graph.num_edges, graph.num_disagreements) == (0, 0, 0)
    assert len(graph.best_paths()) == 0
    assert graph.distance_to_goal(0.5).tolist() == []
    for name in ("tree_id", "first_visit", "source", "share", "mean_reward", "previous_visit"):
        assert getattr(graph, name).tolist() == [], name


# Keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        KEYS,
        [None, 7, 2**70, 0, ("d", 1), 7],
        [-1, np.int64(7), 1, "1", "", 7],
        np.array([-1, 1, 2, 3, 4, 1]),
        np.array([-1, 10**15, 2, 3, 4, 10**15]),
        np.array([9, 10**18, 2, 3, 4, 10**18], np.uint64),
        np.array([None, "a", "b", "c", "d", "a"], object),
        np.array(["r", "a", "b", "c", "d", "a"]),
    ],
)
def test_equal_keys_are_one_state_whatever_they_are(forest: Forest, keys: object) -> None:
    assert forest.states(keys).node_state.tolist() == [0, 1, 2, 3, 4, 1]  # type: ignore[arg-type]
    assert forest.states(iter(keys)).node_state.tolist() == [0, 1, 2, 3, 4, 1]  # type: ignore


def test_minus_one_and_none_are_no_keys(forest: Forest) -> None:
    for none in (None, -1):
        assert forest.states([none] * 6).num_states == 6
    assert forest.states(np.full(6, -1)).num_states == 6
    assert forest.states(np.array([-1, -1, 99, 99, -1, -1])).num_states == 5


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (KEYS[:5], "keys has 5 elements; expected 6, one a node"),
        ([*KEYS, "x"], "keys has more than 6 elements; expected one a node"),
        (np.zeros(5, np.int64), r"keys has shape \(5,\); expected \(6,\), one a node"),
        (np.zeros((6, 1), np.int64), r"keys has shape \(6, 1\)"),
        (np.array([0, 0, -2, 0, 0, 0]), r"keys\[2\] is -2; expected a text, a whole number >= 0"),
        ([0, 0, 0, -5, 0, 0], r"keys\[3\] is -5; expected"),
        ([0, True, 0, 0, 0, 0], r"keys\[1\] is True; expected"),
        ([0, 1.0, 0, 0, 0, 0], r"keys\[1\] is 1\.0; expected"),
        (np.zeros(6), r"keys\[0\] is 0\.0; expected"),
        ([b"x", 0, 0, 0, 0, 0], r"keys\[0\] is b'x'; expected"),
        ([0, 0, ["x"], 0, 0, 0], r"keys\[2\] is \['x'\]; expected"),
        ([0, 0, ("x", []), 0, 0, 0], r"keys\[2\] is \('x', \[\]\); expected"),
        ([0, (1.0,), (1,), 0, 0, 0], r"keys\[1\] is \(1\.0,\); expected"),
        ([0, ("x", (True,)), 0, 0, 0, 0], r"keys\[1\] is \('x', \(True,\)\); expected"),
        ([0, (float("nan"),), 0, 0, 0, 0], r"keys\[1\] is \(nan,\); expected"),
        ("abcdef", "keys is str; expected one key a node"),
    ],
)
def test_other_keys_are_refused(forest: Forest, keys: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        forest.states(keys)  # type: ignore[arg-type]


def test_a_tuple_may_hold_what_a_key_may_not_be(forest: Forest) -> None:
    keys = [("x", -1, None), ("x", -1, None), ("x", (np.int64(3),)), ("x", (3,)), (), None]
    assert forest.states(keys).node_state.tolist() == [0, 0, 1, 1, 2, 3]  # type: ignore[arg-type]


def test_later_changes_of_the_keys_change_nothing(forest: Forest) -> None:
    keys = np.array([-1, 1, 2, 3, 4, 1], np.int32)
    graph = forest.states(keys)
    keys[:] = 0
    assert graph.node_state.tolist() == [0, 1, 2, 3, 4, 1]


# What else is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value": "worst"}, "value='worst'; expected 'best' or 'mean'"),
        ({"scores": [0.5]}, r"scores has shape \(1,\); expected \(6,\), one a node"),
        ({"scores": [0, 0, "x", 0, 0, 0]}, r"scores\[2\]='x'; expected a finite number"),
        ({"scores": [0, 0, 0, np.inf, 0, 0]}, r"scores\[3\]=inf; expected a finite number"),
        ({"scores": np.array([0, 0, 0, np.inf, 0, 0])}, r"scores\[3\]=inf; expected a finite"),
        ({"scores": [True] * 6}, r"scores\[0\]=True; expected a finite number"),
        ({"num_threads": 0}, "num_threads=0; expected at least 1"),
    ],
)
def test_options_out_of_range_are_refused(forest: Forest, options: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        forest.states(KEYS, **options)


def test_starts_and_edges_that_there_are_not_are_refused(forest: Forest) -> None:
    graph = forest.states(KEYS)
    for given, message in [
        ({"start": [0, 5]}, r"start\[1\]=5; expected an id below 5"),
        ({"start": [-1]}, r"start\[0\]=-1; expected an id below 5"),
        ({"start": np.array([2**40])}, r"start\[0\]=1099511627776; expected an id below 5"),
        ({"start": [0, 2**70]}, rf"start\[1\]={2**70}; expected an id below 5"),
        ({"start": [0.0]}, r"start\[0\]=0\.0; expected a whole number"),
        ({"without": [5]}, r"without\[0\]=5; expected an id below 5"),
        ({"without": [True]}, r"without\[0\]=True; expected a whole number"),
        ({"num_threads": 0}, "num_threads=0; expected at least 1"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            graph.best_paths(**given)  # type: ignore[arg-type]
    for threshold in (float("nan"), float("inf"), "1", True, None):
        with pytest.raises(InvalidInput, match=r"threshold=.*; expected a finite number"):
            graph.shortest_paths(threshold)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=r"threshold=.*; expected a finite number"):
            graph.distance_to_goal(threshold)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="no tree for task 'nowhere'"):
        graph.best_path("nowhere")
    with pytest.raises(IndexError):
        graph.best_paths()[1]


def test_nothing_holds_the_graph_but_its_user(forest: Forest) -> None:
    """No circle: its memory goes when it is let go of."""
    graph = forest.states(KEYS)
    assert graph.share.size and len(graph.best_paths()) == 1
    gone = weakref.ref(graph.share)
    gc.disable()
    try:
        del graph
        assert gone() is None
    finally:
        gc.enable()


def actions_into(forest: Forest) -> list[str | None]:
    return [None if a < 0 else forest.actions[a] for a in forest.action_id]


def without_runs(*task_ids: str) -> Forest:
    none = np.empty(0, np.int32)
    return build_forest_from_ids(
        action_id=none,
        observation_id=none,
        step_offset=np.zeros(1, np.int64),
        tree_id=none,
        total_return=np.empty(0),
        task_ids=task_ids,
        actions=(),
        observations=(),
    )
