"""`build_forest`, the summary and the picture of a tree."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.strategies import episode, forged

from w2stree import IdenticalTrajectories, InvalidInput, Message, Step, build_forest, open_forest


def test_is_a_mapping_from_task_to_tree() -> None:
    trajectories = [episode("ab", 1, "x"), episode("c", 0, "y"), episode("ac", 0, "x")]
    forest = build_forest(trajectories)
    assert list(forest) == list(forest.task_ids) == ["x", "y"]
    assert len(forest) == 2 and "y" in forest and "z" not in forest
    assert forest["x"].trajectories == [trajectories[0], trajectories[2]]
    assert (forest["y"].root, forest["y"].num_nodes) == (4, 2)
    with pytest.raises(KeyError, match="no tree for task 'z'"):
        forest["z"]
    assert isinstance(forest, Mapping)
    assert list(forest.keys()) == ["x", "y"]
    assert dict(forest) == dict(forest.items()) == forest
    assert [tree.task_id for tree in forest.values()] == ["x", "y"]
    assert forest.get("z") is None and forest.get("y") == forest["y"]


def test_is_frozen_so_a_copy_is_itself_and_is_refused_by_pickle_with_the_way() -> None:
    forest = build_forest([episode("ab", 1), episode("c", 0)])
    states = forest.states(list(range(forest.num_nodes)))
    for view in (forest, forest.search(num_simulations=2), states, states.best_paths()):
        assert copy.copy(view) is view and copy.deepcopy(view) is view
        with pytest.raises(TypeError, match=rf"{type(view).__name__} is not pickled: .*save\(path"):
            pickle.dumps(view)
    for part in (forest["task"], forest.pairs()):
        copy.deepcopy(part)
        with pytest.raises(TypeError, match="a Forest is not pickled"):
            pickle.dumps(part)


def test_equals_itself_alone() -> None:
    """Its trees are views of it, and so differ from another forest's."""
    left, right = (build_forest([episode("ab", 1), episode("c", 0)]) for _ in range(2))
    assert left == left and left != right and left["task"] != right["task"]
    assert left.digest() == right.digest()
    assert len({left, right, left}) == 2


def test_texts_get_ids_in_order_of_appearance() -> None:
    forest = build_forest([episode("bA", 1), episode("c", 1)])
    assert forest.actions == ("b", "a", "c")
    assert forest.observations == ("usual", "other")


def test_responses_are_payload() -> None:
    plain = episode("a", 1)
    thoughtful = replace(plain, steps=(replace(plain.steps[0], response="Thought: hm"),))
    with pytest.warns(IdenticalTrajectories):
        assert build_forest([plain, thoughtful]).num_nodes == 2


def test_errors_are_left_out_and_counted() -> None:
    kept = [episode("a", 1), episode("b", 0)]
    failed = replace(episode("c", 0, status="error"), prompt=(Message("user", "never compared"),))
    forest = build_forest([kept[0], failed, kept[1]])
    assert forest.trajectories == tuple(kept)
    assert forest.num_errors == 1 and "c" not in forest.actions


def test_refuses_tasks_with_two_prompts() -> None:
    other = replace(episode("b", 0), prompt=(Message("user", "Something else."),))
    failed = episode("", 0, status="error")
    with pytest.raises(InvalidInput, match=r"trajectories\[1\] and trajectories\[3\].*'task'.*pro"):
        build_forest([failed, episode("a", 1), episode("b", 1), other])


def test_refuses_nothing() -> None:
    with pytest.raises(InvalidInput, match="no trajectories given"):
        build_forest([])
    with pytest.raises(InvalidInput, match="2 given, all with status error"):
        build_forest([episode("a", 0, status="error")] * 2)


def test_refuses_returns_that_are_not_finite() -> None:
    with pytest.raises(InvalidInput, match=r"trajectories\[1\]: total_return is nan"):
        build_forest([episode("a", 1), forged(episode("b", 0), total_return=float("nan"))])


def test_refuses_what_is_no_trajectory() -> None:
    with pytest.raises(TypeError, match=r"trajectories\[0\] is str; .*read_trajectories"):
        build_forest("runs/weak")  # type: ignore[arg-type]


def test_warns_once_of_identical_trajectories() -> None:
    twins = [episode("ab", 1, task) for task in ("x", "x", "y", "y", "z", "z")]
    twins[4] = episode("ac", 1, "z")
    twins[1] = episode("aB", 1, "x")  # the same actions, answered otherwise
    with pytest.warns(IdenticalTrajectories, match="2 of 3 tasks, the first 'x'") as caught:
        build_forest(twins)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_does_not_warn_of_single_or_different_trajectories() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_forest([episode("ab", 1, "x"), episode("a", 1, "y"), episode("ab", 1, "y")])


def test_arrays_are_read_only_views_that_outlive_the_forest() -> None:
    forest = build_forest([episode("ab", 1), episode("c", 0)])
    returns, depth = forest.return_sum, forest.depth
    assert not returns.flags.owndata and np.shares_memory(returns, forest.return_sum)
    with pytest.raises(ValueError, match="read-only"):
        returns[0] = 7
    with pytest.raises(ValueError, match="WRITEABLE"):
        returns.flags.writeable = True
    del forest
    gc.collect()
    assert returns.tolist() == [1, 1, 1, 0] and depth.tolist() == [0, 1, 2, 1]


def test_summary() -> None:
    forest = build_forest(
        [
            episode("ab", 1.0, "x"),
            episode("aB", 1.0, "x"),
            episode("ac", 0.5, "x"),
            episode("ac", 0.5, "x"),
            episode("d", 1.0, "y"),
            episode("e", 1.0, "y"),
            episode("f", 1.0, "z"),
            episode("", 0.0, "z", status="error"),
        ]
    )
    summary = forest.summary()
    assert (summary.num_trees, summary.num_trajectories, summary.num_errors) == (3, 7, 1)
    assert (summary.num_steps, summary.num_nodes) == (11, 10)
    assert summary.merge_rate == 1 - 7 / 11
    assert summary.distinct_share == 6 / 7
    assert summary.mean_branching == 2.5
    assert summary.num_decision_divergences == 2
    assert summary.num_environment_divergences == 1
    assert summary.num_informative_divergences == 1
    assert summary.num_pairs == 4
    assert str(summary).splitlines()[0].split() == ["trees", "3"]
    assert len({len(line) for line in str(summary).splitlines()}) == 1  # aligned


def test_turns_without_an_action_are_counted_and_shown(tmp_path: Path) -> None:
    speechless = [Step("a", "x"), Step("", "say what to do"), Step("", "say it")]
    runs = [replace(episode("a", 0.0), steps=tuple(speechless[:n])) for n in (3, 3, 2)]
    forest = build_forest(runs)
    forest.save(tmp_path / "f.forest")
    for known in (forest, open_forest(tmp_path / "f.forest")):
        summary = known.summary()
        assert (summary.num_steps, summary.num_unparsed) == (8, 5)
        assert "  without an action" in str(summary)
        assert "a > (no action)  [n=3 r=0.00 .]  say what to do" in str(known["task"])
    plain = build_forest([episode("ab", 1.0)]).summary()
    assert plain.num_unparsed == 0
    assert "without an action" not in str(plain)


def test_summary_of_trajectories_without_steps() -> None:
    summary = build_forest([episode("", 0.5)]).summary()
    assert (summary.num_nodes, summary.merge_rate, summary.mean_branching) == (1, 0.0, 0.0)


def test_picture_of_a_tree() -> None:
    forest = build_forest(
        [
            episode("abcdefg", 1.0),
            episode("abX", 0.5),
            episode("abx", 0.0),
            episode("ab", 0.25),
            episode("z", 0.0),
        ]
    )
    assert str(forest["task"]).splitlines() == [
        "task  [n=5 r=0.35 *]",
        "|- a > b  [n=4 r=0.44 .*~]  usual",
        "|  |- c > d > (2 steps) > g  [n=1 r=1.00]  usual",
        "|  |- x  [n=1 r=0.50]  other",
        "|  `- x  [n=1 r=0.00]  usual",
        "`- z  [n=1 r=0.00]  usual",
        "(n trajectories, r mean return, . some end here, * decision divergence, "
        "~ environment divergence)",
    ]


def test_picture_keeps_to_one_short_line_a_run() -> None:
    step = episode("a", 1).steps[0]
    long = replace(step, action="say\n" + "x" * 99, observation="You\n\nsee " + "y" * 500)
    drawn = str(build_forest([replace(episode("a", 1), steps=(long,))])["task"])
    assert drawn.splitlines()[1] == (f"`- say {'x' * 35}…  [n=1 r=1.00]  You see {'y' * 51}…")


def test_picture_of_a_deep_tree() -> None:
    deep = episode("", 1)
    steps = tuple(replace(episode("a", 1).steps[0], action=str(i)) for i in range(5000))
    every_depth = [replace(deep, steps=steps[:i]) for i in range(0, 5001, 5)]
    assert len(str(build_forest(every_depth)["task"]).splitlines()) == 1002
