"""A saved forest keeps its rule: it grows by the one it was built by, or says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparisons import assert_same_forest
from support.forest_files import VERSION_1, encode, lay_out, reopen, sections
from support.strategies import PROMPT, episode, trajectory_lists

from w2stree import Forest, InvalidInput, Step, Trajectory, build_forest, merge_forests, open_forest
from w2stree.errors import ForestFileError
from w2stree.forest.merging import Merging
from w2stree.forest.stored_rule import StoredRule
from w2stree.shorten import quoted

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]


def answered(*observations: str, task_id: str = "task") -> list[Trajectory]:
    return [
        Trajectory(task_id, PROMPT, (Step("look", text),), i / 10, "done")
        for i, text in enumerate(observations)
    ]


def letters(texts: list[str]) -> np.ndarray:
    return np.array([[1 + 9 * text.count(letter) for letter in "okx"] for text in texts])


SIMILAR = Merging(min_similarity=0.9, embed=letters)
KNOWN = {
    "exact": Merging(),
    "normalised": Merging(normalize_observation="sort_words"),
    "authors": Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2", guard=None),
    "both": Merging(min_similarity=1, embed="all-MiniLM-L6-v2", normalize_observation="sort_words"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_rule_of_known_names_is_kept(name: str, tmp_path: Path) -> None:
    # Merged as one rule and saved as another: the names alone matter, no model is needed.
    forest = build_forest(answered("a key, a lamp"))
    parts = {f: getattr(forest.parts, f) for f in ("core", "task_ids", "actions", "observations")}
    forest = Forest(type(forest.parts)(**parts, rule=KNOWN[name]))
    opened = reopen(forest, tmp_path)
    assert opened.merging == KNOWN[name]
    assert open_forest(tmp_path / "f", merging=KNOWN[name]).merging == KNOWN[name]
    assert encode(opened) == encode(forest)


def test_an_opened_forest_grows_by_its_rule(tmp_path: Path) -> None:
    rule = Merging(normalize_observation="sort_words")
    first, second = answered("a key, a lamp"), answered("A lamp, a key.", "a cup")
    opened = reopen(build_forest(first, merging=rule), tmp_path)
    assert_same_forest(opened.add(second), build_forest(first + second, merging=rule))


@given(trajectory_lists(), st.data())
@settings(max_examples=50)
def test_merges_and_rule_survive(
    tmp_path_factory: pytest.TempPathFactory, trajectories: list[Trajectory], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("rule")
    cut = data.draw(st.integers(1, len(trajectories)))
    at_once = build_forest(trajectories, merging=SIMILAR)
    build_forest(trajectories[:cut], merging=SIMILAR).save(folder / "f")
    opened = open_forest(folder / "f", merging=SIMILAR).add(trajectories[cut:])
    assert opened.merges == at_once.merges
    assert encode(opened) == encode(at_once)
    assert reopen(at_once, folder).merges == at_once.merges


# A function of one's own --------------------------------------------------------------------------


def test_a_foreign_function_must_be_given_to_grow(tmp_path: Path) -> None:
    runs = answered("xx", "xxx", "ok")
    forest = build_forest(runs, merging=SIMILAR)
    opened = reopen(forest, tmp_path)
    assert opened.digest() == forest.digest() and len(opened.merges) == 1  # it can be read
    other = build_forest(answered("x", task_id="other"), merging=SIMILAR)
    name = rf"embed='{letters.__module__}:letters'"
    for grow in (
        lambda: opened.add(runs),
        lambda: merge_forests([other, opened]),
        lambda: merge_forests([opened, opened]),
        lambda: opened.merging,
    ):
        with pytest.raises(InvalidInput, match=rf"{name}.* open_forest\(path, merging=Merging"):
            grow()
    given_ = open_forest(tmp_path / "f", merging=SIMILAR)
    assert given_.merging == SIMILAR
    assert given_.add(runs).merges == forest.add(runs).merges
    assert len(merge_forests([other, given_])) == 2
    opened.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "f").read_bytes()


def test_a_forest_of_the_retired_guard_is_read_and_does_not_grow(tmp_path: Path) -> None:
    rule = StoredRule(0.9, "", "all-MiniLM-L6-v2", "state_words")  # as earlier versions wrote it
    forest = build_forest(answered("x", "y"))
    opened = reopen(Forest(replace(forest.parts, rule=rule)), tmp_path)
    assert opened.digest() == forest.digest() and len(opened.pairs()) == len(forest.pairs())
    with pytest.raises(
        InvalidInput, match=r"guard 'state_words' of an earlier version.*again from"
    ):
        opened.add(answered("z"))
    with pytest.raises(InvalidInput, match=r"guard 'state_words' of an earlier version"):
        merge_forests([opened, build_forest(answered("z", task_id="other"))])
    with pytest.raises(InvalidInput, match=r"guard 'state_words' of an earlier version"):
        open_forest(tmp_path / "f", merging=Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2"))
    opened.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "f").read_bytes()


def renamed(texts: list[str]) -> np.ndarray:
    return letters(texts)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Merging(min_similarity=0.8, embed=letters), "min_similarity=0.8; .*=0.9"),
        (Merging(min_similarity=0.9, embed=letters, guard=None), "guard=None; .*'distinctions'"),
        (Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2"), "embed='all-.*embed=.*:letters'"),
        (Merging(min_similarity=0.9, embed=renamed), "embed=.*:renamed'.*embed=.*:letters'"),
        (
            Merging(min_similarity=0.9, embed=letters, normalize_observation="sort_words"),
            "normalize_observation='sort_words'; .*normalize_observation=None",
        ),
        (Merging(), "min_similarity=None; .*min_similarity=0.9"),
    ],
)
def test_another_rule_than_the_stored_one_is_refused(
    other: Merging, message: str, tmp_path: Path
) -> None:
    build_forest(answered("x"), merging=SIMILAR).save(tmp_path / "f")
    with pytest.raises(InvalidInput, match=rf"f: merging has {message}"):
        open_forest(tmp_path / "f", merging=other)


def test_an_exact_forest_is_not_reopened_as_a_similar_one(tmp_path: Path) -> None:
    build_forest(answered("x")).save(tmp_path / "f")
    with pytest.raises(InvalidInput, match=r"min_similarity=0.9; .*=None"):
        open_forest(tmp_path / "f", merging=SIMILAR)
    similar = build_forest(answered("x", task_id="other"), merging=SIMILAR)
    with pytest.raises(InvalidInput, match=r"forests\[0\] and forests\[1\] .* different rules"):
        merge_forests([similar, open_forest(tmp_path / "f")])


@pytest.mark.parametrize(
    "function",
    [str.lower, "".join, lambda text: text, type("Normaliser", (), {"__call__": str})()],
    ids=["method", "bound", "lambda", "object"],
)
def test_any_function_has_a_name(function: Callable[[str], str], tmp_path: Path) -> None:
    rule = Merging(normalize_observation=function)
    opened = reopen(build_forest(answered("x"), merging=rule), tmp_path)
    with pytest.raises(InvalidInput, match=r"normalize_observation='.+:.+'"):
        opened.add([])
    assert open_forest(tmp_path / "f", merging=rule).merging == rule


@pytest.mark.parametrize(
    "name", ["os:system", "sort_words ", "MiniLM-of-tomorrow", "é" * 999, "界" * 999]
)
def test_names_in_files_are_shown_and_never_looked_up(name: str, tmp_path: Path) -> None:
    file = encode(build_forest(answered("x"), merging=Merging(normalize_observation="sort_words")))
    text = name.encode()
    contents = {n: file[s.offset : s.offset + s.size] for n, s in sections(file).items()}
    contents["rule.data"] = text
    contents["rule.offset"] = np.array([0, len(text), len(text), len(text)], "<i8").tobytes()
    (tmp_path / "f").write_bytes(lay_out(file, contents))
    opened = open_forest(tmp_path / "f")
    with pytest.raises(InvalidInput) as caught:
        opened.add([])
    assert f"normalize_observation={quoted(name, 80)}, " in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        open_forest(tmp_path / "f", merging=Merging())
    assert str(caught.value).endswith(f"built with normalize_observation={quoted(name, 80)}")


# Files of before ----------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "old.forest").write_bytes(VERSION_1.read_bytes()[1:])
    return tmp_path / "old.forest"


def test_old_files_open(old: Path) -> None:
    forest = open_forest(old)
    assert forest.task_ids == ("u",) and forest.num_nodes == 6
    assert forest.merges == ()
    assert len(forest.pairs()) == 4


def test_old_files_do_not_grow_until_their_rule_is_stated(old: Path) -> None:
    forest = open_forest(old)
    for grow in (
        lambda: forest.add([episode("a", 1.0)]),
        lambda: merge_forests([build_forest([episode("a", 1.0)]), forest]),
        lambda: merge_forests([forest]),
    ):
        with pytest.raises(
            InvalidInput, match=r"does not say .* \(version 1 .*open_forest\(path, merging=Merging"
        ):
            grow()
    with pytest.raises(InvalidInput, match=r"^forests\[1\]: "):
        merge_forests([build_forest([episode("a", 1.0)]), forest])
    stated = open_forest(old, merging=Merging())
    assert stated.add([episode("a", 1.0)]).num_nodes == forest.num_nodes + 2
    assert len(merge_forests([stated, build_forest([episode("a", 1.0)])])) == 2


def test_what_is_not_known_stays_unknown_when_saved_again(old: Path) -> None:
    forest = open_forest(old)
    forest.save(old)
    again = open_forest(old)
    assert_same_forest(again, forest)
    with pytest.raises(InvalidInput, match="does not say"):
        again.add([])
    open_forest(old, merging=Merging()).save(old)
    assert open_forest(old).merging == Merging()


def test_every_bit_of_an_old_file_counts(old: Path) -> None:
    file = bytearray(old.read_bytes())
    for byte in range(0, len(file), 3):
        file[byte] ^= 1
        old.write_bytes(file)
        with pytest.raises(ForestFileError, match=r"byte \d+"):
            open_forest(old)
        file[byte] ^= 1
