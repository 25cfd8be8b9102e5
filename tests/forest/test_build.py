"""The ways into a forest agree, and say where their input is wrong."""

from __future__ import annotations

import gc
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from support.columns import columns_of, facts, ids_of
from support.quiet import QUIET
from support.strategies import episode, forged, trajectory_lists

from w2stree import IdenticalTrajectories, InvalidInput, Step, Trajectory, build_forest
from w2stree.errors import TurnsWithoutAction
from w2stree.forest import (
    build_forest_from_arrow,
    build_forest_from_ids,
    build_forest_from_texts,
    open_forest,
)
from w2stree.forest.texts import NumberedTexts, TextColumn

TEXTS: dict[str, Any] = columns_of([episode("ab", 1, "x"), episode("ac", 0, "x")])
IDS: dict[str, Any] = ids_of([episode("ab", 1, "x"), episode("ac", 0, "x")])


pytestmark = QUIET


@given(trajectory_lists())
@settings(max_examples=200)
def test_all_ways_agree(trajectories: list[Trajectory]) -> None:
    expected = facts(build_forest(trajectories))
    assert facts(build_forest_from_texts(**columns_of(trajectories))) == expected
    assert facts(build_forest_from_ids(**ids_of(trajectories))) == expected


@pytest.mark.parametrize("rule", ["sort_words", {"min_similarity": 0.9}, {}, "", False])
@pytest.mark.parametrize(
    "build",
    [
        lambda rule: build_forest([episode("ab", 1)], merging=rule),
        lambda rule: build_forest_from_texts(**TEXTS, merging=rule),
        lambda rule: build_forest_from_ids(**IDS, merging=rule),
        lambda rule: build_forest_from_arrow({}, merging=rule),  # type: ignore[arg-type]
        lambda rule: open_forest("absent", merging=rule),
    ],
    ids=["objects", "texts", "ids", "arrow", "open"],
)
def test_a_rule_of_another_type_is_refused(build: Callable[[object], object], rule: object) -> None:
    shown = re.escape(repr(rule))
    with pytest.raises(InvalidInput, match=f"merging is {shown}; give a Merging or None"):
        build(rule)


def test_texts_without_trajectories_are_read_back_off_the_tree() -> None:
    forest = build_forest_from_texts(**TEXTS)
    assert [step.action for step in forest.trajectories[1].steps] == ["a", "c"]


@pytest.mark.parametrize("way", ["objects", "texts", "ids"])
def test_every_way_warns_of_identical_trajectories(way: str) -> None:
    twins = [episode("ab", 1), episode("aB", 0)]  # answered otherwise, still the same actions
    with pytest.warns(IdenticalTrajectories, match="1 of 1 tasks, the first 'task'") as caught:
        if way == "objects":
            build_forest(twins)
        elif way == "texts":
            build_forest_from_texts(**columns_of(twins))
        else:
            build_forest_from_ids(**ids_of(twins))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("actions", [("", ""), ("a", "", "")], ids=["none", "few"])
def test_trajectories_alike_for_want_of_actions_are_named_so(actions: tuple[str, ...]) -> None:
    steps = tuple(Step(action, "Say it as 'Action: …'", "Sure!") for action in actions)
    twins = [Trajectory("mute", (), steps, score, "done") for score in (0.0, 1.0)]
    greedy = [replace(episode("ab", score), task_id="greedy") for score in (0, 1)]
    with pytest.warns(TurnsWithoutAction, match="^1 of 1 tasks, the first 'mute', .* no action"):
        build_forest(twins)
    with (
        pytest.warns(TurnsWithoutAction, match="^1 of 2 tasks, the first 'mute'"),
        pytest.warns(IdenticalTrajectories, match="^1 of 2 tasks, the first 'greedy'"),
    ):
        build_forest([*greedy, *twins])


def test_trajectories_without_a_step_are_not_called_greedy() -> None:
    empty = [Trajectory("empty", (), (), score, "done") for score in (0.0, 1.0)]
    greedy = [replace(episode("ab", score), task_id="greedy") for score in (0, 1)]
    with pytest.warns(IdenticalTrajectories) as caught:
        build_forest([*greedy, *empty])
    one, other = (str(warning.message) for warning in caught)
    assert one.startswith("1 of 2 tasks, the first 'greedy'") and "greedily" in one
    assert other.startswith("1 of 2 tasks, the first 'empty'") and "no step in any" in other
    assert "greedily" not in other


def test_does_not_warn_of_actions_that_differ_after_answers_that_do() -> None:
    """A running number keeps them apart from the first step on, and no node has two actions."""
    runs = [
        Trajectory(task, (), tuple(Step(a, f"Turn {i}.") for a in actions), float(i), "done")
        for task, others in (("walk", ("look go", "look stay")), ("sit", ("look go", "look go")))
        for i, actions in enumerate(map(str.split, others))
    ]
    with pytest.warns(IdenticalTrajectories, match="^1 of 2 tasks, the first 'sit'"):
        build_forest(runs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_forest(runs[:2])


def test_does_not_warn_of_one_sequence_that_is_longer() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_forest([episode("ab", 1), episode("abb", 1)])


# Objects


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task_id": 7}, r"trajectories\[1\]: task_id is int; expected str"),
        ({"total_return": "1"}, r"trajectories\[1\]: total_return is str; expected a number"),
        ({"steps": None}, r"trajectories\[1\].steps is NoneType; expected a sequence of Step"),
        ({"steps": "ab"}, r"trajectories\[1\].steps is str; expected a sequence of Step"),
        ({"steps": ("ab",)}, r"trajectories\[1\].steps\[0\] is str; expected Step"),
        (
            {"steps": (Step("a", "o"), forged(Step("a", "o"), action=3))},
            r"trajectories\[1\].steps\[1\].action is int; expected str",
        ),
        (
            {"steps": (forged(Step("a", "o"), observation=b"o"),)},
            r"trajectories\[1\].steps\[0\].observation is bytes; expected str",
        ),
    ],
)
def test_refuses_objects_naming_the_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        build_forest([episode("a", 1), forged(episode("a", 1), **change)])


@pytest.mark.parametrize("given", [episode("a", 1), 7, None])
def test_refuses_what_holds_no_trajectories(given: Any) -> None:
    what = re.escape(f"trajectories is {type(given).__name__}; expected an iterable of Trajectory")
    with pytest.raises(TypeError, match=what):
        build_forest(given)


def test_reads_subclasses_and_generators() -> None:
    @dataclass(frozen=True)
    class Thought(Step):
        """No slot of its own for what it inherits, and an attribute more."""

        mood: str = "calm"

    class Loud(Step):
        @property
        def action(self) -> str:  # type: ignore[override]
            return "LOUD"

    steps = [Thought("a", "usual"), Loud.__new__(Loud)]
    object.__setattr__(steps[1], "observation", "usual")
    lists = forged(episode("", 1), steps=steps)
    forest = build_forest(t for t in [lists])
    assert forest.actions == ("a", "LOUD") and forest.trajectories == (lists,)


def test_steps_without_a_value_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="action"):
        build_forest([replace(episode("", 1), steps=(Step.__new__(Step),))])


# Texts


def test_keeps_the_str_objects() -> None:
    forest = build_forest_from_texts(**TEXTS)
    assert forest.actions[0] is TEXTS["actions"][0][0]


def test_reads_any_iterables() -> None:
    expected = facts(build_forest_from_texts(**TEXTS))
    as_tuples = {name: tuple(map(_tuple, column)) for name, column in TEXTS.items()}
    as_generators = {name: map(_iterator, column) for name, column in TEXTS.items()}
    as_arrays = {
        **{name: [np.array(row) for row in TEXTS[name]] for name in ("actions", "observations")},
        "task_id": TextColumn.of(TEXTS["task_id"]),
        "total_return": np.array(TEXTS["total_return"]),
    }
    for columns in (as_tuples, as_generators, as_arrays):
        assert facts(build_forest_from_texts(**columns)) == expected  # type: ignore[arg-type]
    assert type(build_forest_from_texts(**as_arrays).actions[0]) is str


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _iterator(value: Any) -> Any:
    return iter(value) if isinstance(value, list) else value


def test_lone_surrogates_survive() -> None:
    forest = build_forest_from_texts(["t"], [["\ud800", "\ud800x"]], [["\udfff", "ok"]], [1.0])
    assert forest.actions == ("\ud800", "\ud800x") and forest.num_nodes == 3
    assert TextColumn.of(forest.actions)[1] == "\ud800x"


def test_texts_of_every_width_are_told_apart() -> None:
    # The same bytes in memory, as one-, two- and four-byte characters.
    texts = ["d\x00", "ab", "\u6261", "\u6261\u6463", "\U00016261", "ab\x00", "é", "e\u0301"]
    forest = build_forest_from_texts(["t"], [texts * 2], [["o"] * 16], [1.0])
    assert list(forest.actions) == texts


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("task_id", "xy", TypeError, "task_id is str; expected a sequence of str"),
        ("task_id", 3, TypeError, "task_id is int; expected a sequence of str"),
        ("task_id", ["x", None], TypeError, r"task_id\[1\] is NoneType; expected str"),
        ("actions", [["a", "b"], "ac"], TypeError, r"actions\[1\] is str; expected a sequence of"),
        ("actions", [["a", "b"], b"ac"], TypeError, r"actions\[1\] is bytes; expected a sequence"),
        ("actions", [["a", "b"], None], TypeError, r"actions\[1\] is NoneType; expected a seq"),
        ("actions", [["a", "b"], ["a", 7]], TypeError, r"actions\[1\]\[1\] is int; expected str"),
        ("actions", [["a", "b"]], InvalidInput, "actions has 1 elements; expected 2, as in task"),
        ("observations", [["a"] * 2, []], InvalidInput, r"observations\[1\] has 0 elements; expec"),
        ("total_return", [1.0, "0"], TypeError, r"total_return\[1\] is str; expected a number"),
        ("total_return", [1.0, np.nan], InvalidInput, r"total_return\[1\]=nan is not finite"),
        ("total_return", [1.0], InvalidInput, "total_return has 1 elements; expected 2"),
    ],
)
def test_refuses_texts_naming_the_place(
    name: str, value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_forest_from_texts(**{**TEXTS, name: value})


def test_refuses_no_texts() -> None:
    with pytest.raises(InvalidInput, match="no trajectories given"):
        build_forest_from_texts([], [], [], [])


def test_errors_of_iterables_pass_through() -> None:
    def torn() -> Iterator[str]:
        yield "a"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        build_forest_from_texts(**{**TEXTS, "actions": [torn(), ["a", "c"]]})


def test_lists_that_change_while_they_are_read_do_no_harm() -> None:
    actions: list[Any] = [None, ["a", "c"]]

    def shrinking() -> Iterator[str]:
        yield "a"
        actions.clear()
        yield "b"

    actions[0] = shrinking()
    with pytest.raises(InvalidInput, match="actions shrank while it was read"):
        build_forest_from_texts(**{**TEXTS, "actions": actions})


# Ids


def test_ids_are_borrowed_and_texts_numbered() -> None:
    arrays = {name: value for name, value in IDS.items() if isinstance(value, np.ndarray)}
    forest = build_forest_from_ids(**arrays)
    assert forest.trajectories[1].steps == (
        Step("action 0", "observation 0"),
        Step("action 2", "observation 0"),
    )
    assert list(forest) == ["task 0"]


def test_num_trees_adds_lone_roots() -> None:
    forest = build_forest_from_ids(**{**IDS, "task_ids": None, "num_trees": 3})
    assert forest.num_nodes == 6
    found = forest.search()
    assert found.best_trajectory[1:].tolist() == [-1, -1]
    assert len(found.best_trajectories()) == 1, "a tree of no runs has no best one"
    assert list(build_forest_from_ids(**{**IDS, "task_ids": ["x", "y"]})) == ["x", "y"]


def test_no_ids_are_no_trees() -> None:
    none = build_forest_from_ids(
        *(np.zeros(n, t) for n, t in [(0, "i4"), (0, "i4"), (1, "i8"), (0, "i4"), (0, "f8")])
    )
    assert len(none) == none.num_nodes == 0


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("action_id", [0, 1, 0, 2], TypeError, "action_id is list; expected a NumPy array"),
        ("action_id", IDS["action_id"].astype("i8"), TypeError, "action_id has dtype int64; expec"),
        ("action_id", IDS["action_id"].astype(">i4"), TypeError, "action_id has dtype >i4; expec"),
        ("step_offset", IDS["step_offset"].astype("i4"), TypeError, "step_offset has dtype int32"),
        ("tree_id", IDS["tree_id"].astype("i2"), TypeError, "tree_id has dtype int16; expected"),
        ("total_return", np.zeros(2, "f4"), TypeError, "total_return has dtype float32; expected"),
        ("action_id", -IDS["action_id"], InvalidInput, r"action_id\[1\]=-1 is negative"),
        ("num_trees", -1, InvalidInput, "num_trees=-1"),
        ("num_trees", 2, InvalidInput, "task_ids has 1 texts; expected num_trees=2"),
        ("task_ids", "x", TypeError, "task_ids is str; expected a sequence of str"),
        ("task_ids", ["x", "x"], InvalidInput, "task_ids names a task twice"),
        ("task_ids", [], InvalidInput, r"tree_id\[0\]=0 outside \[0, 0\)"),
        ("actions", ("a", "b"), InvalidInput, r"action_id\[3\]=2 has no text: actions has 2"),
        ("observations", (), InvalidInput, r"observation_id\[0\]=0 has no text: observations has"),
    ],
)
def test_refuses_ids_naming_the_place(
    name: str, value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_forest_from_ids(**{**IDS, name: value})


def test_numbered_texts_are_a_sequence() -> None:
    texts = NumberedTexts("action", 3)
    assert list(texts) == ["action 0", "action 1", "action 2"] and texts[-1] == "action 2"
    assert texts[1:] == ["action 1", "action 2"] and "action 3" not in texts
    with pytest.raises(IndexError):
        texts[3]


# Memory


def test_references_are_given_back() -> None:
    action, task = "take the " + str(time.time()), "task " + str(time.time())
    step = Step(action, action)
    trajectory = Trajectory(task, (), (step, step), 1.0, "done")
    lists = [[action, action]]

    def build_all() -> None:
        build_forest([trajectory, trajectory])
        build_forest_from_texts([task], lists, lists, [1.0])
        for bad in ([[action, 3]], [3], [[action]]):
            with pytest.raises((TypeError, InvalidInput)):
                build_forest_from_texts([task], lists, bad, [1.0])  # type: ignore[arg-type]

    held = (action, task, step, trajectory, lists)
    build_all()
    gc.collect()
    before = [sys.getrefcount(o) for o in held]
    for _ in range(1000):
        build_all()
    gc.collect()
    assert [sys.getrefcount(o) for o in held] == before
