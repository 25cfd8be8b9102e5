"""Forests that grow equal forests built at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparisons import assert_same_forest
from support.quiet import QUIET
from support.strategies import episode, trajectory_lists

from w2stree import (
    Forest,
    InvalidInput,
    Message,
    Trajectory,
    build_forest,
    merge_forests,
)

pytestmark = QUIET


def assert_equal(left: Forest, right: Forest) -> None:
    assert_same_forest(left, right)
    assert list(left.trajectories) == list(right.trajectories)


@given(trajectory_lists(), st.data())
@settings(max_examples=200)
def test_adding_equals_building_at_once(
    trajectories: list[Trajectory], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(1, len(trajectories)), min_size=1, max_size=3)))
    forest = build_forest(trajectories[: cuts[0]])
    for begin, end in zip(cuts, [*cuts[1:], len(trajectories)], strict=True):
        forest = forest.add(trajectories[begin:end])
    assert_equal(forest, build_forest(trajectories))


@given(trajectory_lists())
@settings(max_examples=100)
def test_merging_shards_equals_building_from_them_in_turn(trajectories: list[Trajectory]) -> None:
    shards = [[t for t in trajectories if t.task_id == task] for task in ("a", "b", "ü")]
    shards = [shard for shard in shards if shard]
    merged = merge_forests(build_forest(shard) for shard in shards)
    assert_equal(merged, build_forest([t for shard in shards for t in shard]))


def test_adding_leaves_the_old_forest_alone() -> None:
    old = build_forest([episode("ab", 1.0)])
    left, right = old.add([episode("ac", 0.0)]), old.add([episode("ad", 0.5)])
    assert old.num_nodes == 3 and old.actions == ("a", "b")
    assert left.actions == ("a", "b", "c") and right.actions == ("a", "b", "d")
    assert old.add([]).num_nodes == 3


def test_errors_are_counted_over_additions() -> None:
    forest = build_forest([episode("a", 1.0), episode("b", 0.0, status="error")])
    assert forest.add([episode("c", 0.0, status="error")]).num_errors == 2


def test_a_task_keeps_its_prompt() -> None:
    other = Trajectory("task", (Message("user", "Else."),), (), 0.0, "done")
    forest = build_forest([episode("a", 1.0)])
    message = r"the forest and new trajectories\[0\] have task_id 'task' but different prompts"
    with pytest.raises(InvalidInput, match=message):
        forest.add([other])
    assert len(forest.add([other], openings="any").trajectories) == 2


def test_shards_must_not_share_a_task() -> None:
    forest = build_forest([episode("a", 1.0)])
    with pytest.raises(InvalidInput, match=r"forests\[0\] and forests\[1\] both have task 'task'"):
        merge_forests([forest, forest])
    with pytest.raises(InvalidInput, match="no forests to merge"):
        merge_forests([])
    with pytest.raises(InvalidInput, match=r"forests\[1\] is int; expected a Forest"):
        merge_forests([forest, 1])  # type: ignore[list-item]
