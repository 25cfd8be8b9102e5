"""Normalisers with names: what they take away, what they leave, and that files keep the names."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2stree import InvalidInput, Merging, Message, Step, Trajectory, build_forest, open_forest
from w2stree.cli.app import main
from w2stree.forest.normalizers import NORMALIZERS, normalizer_named
from w2stree.trajectories.files import write_trajectories

LIKE = {
    "numbers": [
        ("Turn 17: a door.", "Turn 3: a door."),
        ("Score: -0.25 of 1,000", "Score: 7 of 20"),
        ("step12 done", "step9 done"),
    ],
    "dates": [
        ("It is 2024-07-26T10:03:04.123Z.", "It is 2025-11-01 23:59."),
        ("On Fri Jul 26 10:03:04 2024 it rained", "On Sat Aug 3 01:00:00 2024 it rained"),
        ("Due 26 Jul 2024", "Due 3rd of August 2025"),
        ("Due July 26, 2024!", "Due Mon, Sept 1!"),
        ("[10:42] ready", "[9:05 pm] ready"),
        ("26.7.2024", "1.12.2023"),
        ("7/26/2024 ok", "12/1/2023 ok"),
        ("Fri, 26 Jul 2024 10:03:04 GMT", "Sun, 1 Sep 2024 00:00:00 +0200"),
    ],
    "paths": [
        ("Saved /tmp/tmpq3x/repo/a.py.", "Saved /home/ann/work/repo/a.py."),
        ("in /tmp/tmpq3x", "in /tmp/run-7"),
        (r"at C:\Users\ann\a.txt", r"at D:\a\b\a.txt"),
        ("file:///srv/x/a.md, ok", "~/notes/a.md, ok"),
    ],
    "ids": [
        ("job 7f3a9c21 queued", "job 00ff12ab3 queued"),
        (
            "run 123e4567-e89b-12d3-a456-426614174000 ends",
            "run 00000000-e89b-12d3-a456-426614174fff ends",
        ),
        ("<obj at 0x7f3ab2c4>", "<obj at 0x55d0>"),
        ("call_AbC123xYz456QrS7 made", "call_q9q9q9q9q9q9q9q9q9 made"),
    ],
    "sort_words": [("a key, a lamp", "A lamp, a key.")],
}
APART = {
    "numbers": [("a door", "a lamp"), ("Turn 17: a door", "Turn 17: a lamp")],
    "dates": [("shelf 1", "shelf 2"), ("may 3 keys", "march 3 locks"), ("version 1.2.3", "1.2.4")],
    "paths": [
        ("and/or", "or/and"),
        ("https://a.org/x/y", "https://b.org/z/y"),
        ("/srv/x/a.py", "/srv/x/b.py"),
        ("</div>", "</span>"),
    ],
    "ids": [("decade", "facade"), ("shelf 1234567", "shelf 7654321"), ("countertop1", "cup12")],
    "sort_words": [("a key", "a lamp")],
}


@pytest.mark.parametrize("name", LIKE)
def test_takes_away_what_is_luck_and_leaves_the_rest(name: str) -> None:
    normalize = NORMALIZERS[name]
    for one, other in LIKE[name]:
        assert normalize(one) == normalize(other), (one, other)
        assert one != other
    for one, other in APART[name]:
        assert normalize(one) != normalize(other), (one, other)


def test_what_has_none_of_it_stays_as_it_is() -> None:
    text = "You open the drawer. In it, you see a knife; nothing else (and/or a lamp)."
    for name in ("dates", "paths", "ids", "numbers"):
        assert NORMALIZERS[name](text) == text


@given(st.text())
def test_any_text_has_one_and_the_same_twice(text: str) -> None:
    for normalize in (*NORMALIZERS.values(), normalizer_named("dates+paths+ids+numbers")):
        assert normalize(text) == normalize(text)


@pytest.mark.parametrize(
    "piece", ["1", "1a", "/a", "\\a", "1-", "1:", "a/", "Jan 1 ", "0x", "1.", "\u0663"]
)
def test_long_texts_take_no_more_than_their_length(piece: str) -> None:
    """A square of the length would take minutes."""
    for normalize in NORMALIZERS.values():
        begin = time.process_time()
        normalize(piece * 100_000)
        assert time.process_time() - begin < 20


def seen(*observations: str) -> list[Trajectory]:
    """Runs that see them, one each, and then act differently."""
    return [
        Trajectory(
            "t",
            (Message("user", "?"),),
            (Step("look", text), Step(f"go {i}", "")),
            float(i),
            "done",
        )
        for i, text in enumerate(observations)
    ]


def test_several_are_one_rule_whatever_their_order(tmp_path: Path) -> None:
    rule = Merging(normalize_observation="numbers+dates")
    assert rule == Merging(normalize_observation="dates+numbers")
    assert rule.normalize_observation == "dates+numbers"
    assert rule.normalizer is not None
    assert rule.normalizer("Turn 3, 10:42") == "Turn <number>, <date>"
    runs = seen("Turn 3, 10:42", "Turn 9, 23:01", "Turn 1")
    forest = build_forest(runs, merging=rule)
    assert list(forest.observations) == ["Turn 3, 10:42", "", "Turn 1"]
    forest.save(tmp_path / "forest")
    opened = open_forest(tmp_path / "forest")
    assert opened.merging == rule
    assert opened.add(runs).num_nodes == forest.num_nodes


@pytest.mark.parametrize("name", ["number", "numbers+", "numbers+os:remove", "+", "numbers,dates"])
def test_refuses_other_names_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not known; .*'numbers'.*joined by '\+'"):
        Merging(normalize_observation=name)


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
@pytest.mark.parametrize(("options", "divergences"), [([], 0), (["--normalize", "numbers"], 1)])
def test_the_command_line_takes_them_by_name(
    options: list[str], divergences: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trajectories(tmp_path / "log.jsonl", seen("Turn 1", "Turn 2"))
    assert main(["tree", str(tmp_path / "log.jsonl"), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"decision divergences {divergences}" in [" ".join(line.split()) for line in lines]
