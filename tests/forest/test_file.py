"""`Forest.save` and `open_forest`: what was saved, or one typed error."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from support.columns import columns_of, ids_of
from support.comparisons import assert_same_forest
from support.forest_files import EPISODES, reopen
from support.strategies import episode, trajectory_lists

from w2stree import (
    Forest,
    InvalidInput,
    Merging,
    Message,
    Trajectory,
    build_forest,
    open_forest,
)
from w2stree.cli.app import main
from w2stree.forest.build import build_forest_from_ids, build_forest_from_texts
from w2stree.forest.parts import ForestParts
from w2stree.forest.texts import TextColumn

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]


def test_opens_what_was_saved(forest: Forest, saved: Path) -> None:
    opened = open_forest(saved)
    assert_same_forest(forest, opened)
    assert opened.summary() == forest.summary()
    assert str(opened["x"]) == str(forest["x"])
    for ours, theirs in zip(forest.pairs(), opened.pairs(), strict=True):
        assert (ours.divergence, ours.gap) == (theirs.divergence, theirs.gap)
        assert theirs.chosen == bare(ours.chosen) and theirs.rejected == bare(ours.rejected)
    best = forest.search(num_simulations=50).best_trajectories()
    assert opened.search(num_simulations=50).best_trajectories() == [bare(t) for t in best]


def bare(trajectory: Trajectory) -> Trajectory:
    return replace(trajectory, prompt=())


@given(trajectory_lists())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, trajectories: list) -> None:
    folder = tmp_path_factory.mktemp("round")
    forest = build_forest(trajectories)
    opened = reopen(forest, folder)
    assert_same_forest(forest, opened)
    assert [(t.task_id, t.steps) for t in opened.trajectories] == [
        (t.task_id, t.steps) for t in trajectories
    ]
    opened.save(folder / "again")
    assert (folder / "again").read_bytes() == (folder / "f").read_bytes()


@pytest.mark.parametrize("num_threads", [1, 2, 3, 8])
def test_threads_do_not_change_the_result(forest: Forest, saved: Path, num_threads: int) -> None:
    assert_same_forest(forest, open_forest(saved, num_threads=num_threads))


def test_refuses_no_threads(saved: Path) -> None:
    with pytest.raises(InvalidInput, match="num_threads=0; expected at least 1"):
        open_forest(saved, num_threads=0)


def test_lone_surrogates_and_any_text_survive(tmp_path: Path) -> None:
    step = episode("a", 1).steps[0]
    steps = tuple(replace(step, action=a) for a in ("\udce9", "", "🗝\0\n", "e\u0301" * 100))
    forest = build_forest([replace(episode("a", 1, "\ud800"), steps=steps)])
    opened = reopen(forest, tmp_path)
    assert opened.task_ids == ("\ud800",) and opened.trajectories[0].steps == steps


def test_columns_outlive_the_forest_and_the_file(saved: Path, forest: Forest) -> None:
    opened = open_forest(saved)
    held, written_out, text = opened.action_id, opened.depth, opened.actions
    assert isinstance(text, TextColumn) and not held.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 7
    del opened
    saved.unlink()
    gc.collect()
    assert held.tolist() == forest.action_id.tolist()
    assert written_out.tolist() == forest.depth.tolist() and list(text) == list(forest.actions)


def test_an_open_forest_stays_when_its_file_is_replaced(saved: Path, forest: Forest) -> None:
    opened = open_forest(saved)
    build_forest([episode("q", 1.0)]).save(saved)
    assert_same_forest(forest, opened)
    assert open_forest(saved).num_nodes == 2
    opened.save(saved)  # onto what it was mapped from
    assert_same_forest(forest, open_forest(saved))


def test_saves_part_of_a_text_column(tmp_path: Path) -> None:
    core = build_forest([episode("ab", 1.0)]).core
    texts = TextColumn.of(["before", "uno", "due", "after"])
    forest = Forest(
        ForestParts(
            core,
            task_ids=["t"],
            actions=TextColumn(texts.data, texts.offset[1:4]),
            observations=["o"],
        )
    )
    assert list(reopen(forest, tmp_path).actions) == ["uno", "due"]
    assert forest.digest() == reopen(forest, tmp_path).digest()


def test_refuses_to_save_what_it_could_not_open(tmp_path: Path) -> None:
    core = build_forest([episode("ab", 1.0)]).core
    tables = {"task_ids": ["t"], "actions": ["a", "b"], "observations": ["o"]}
    torn = TextColumn(np.frombuffer(b"a\xff", np.uint8), np.array([0, 1, 2]))
    for wrong, match in (
        ({"actions": ["a"]}, r"action_id\[2\]=1: expected the number of a text"),
        ({"task_ids": ["t", "u"]}, r"task_ids.offset\[2\]=2: expected 2 elements"),
        ({"actions": torn}, r"actions.data\[1\]: expected UTF-8"),
    ):
        with pytest.raises(InvalidInput, match=match):
            Forest(ForestParts(core, **{**tables, **wrong})).save(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


# Trajectories given.


def _answered(run: Trajectory, mark: str) -> Trajectory:
    steps = tuple(replace(step, observation=step.observation + mark) for step in run.steps)
    return replace(run, steps=steps)


def test_takes_the_trajectories_it_was_built_from(saved: Path, forest: Forest) -> None:
    opened = open_forest(saved, trajectories=EPISODES)
    assert opened.trajectories == forest.trajectories
    assert opened.search().best_trajectories() == forest.search().best_trajectories()


@pytest.mark.parametrize(
    ("i", "other", "match"),
    [
        (1, replace(EPISODES[1], task_id="q"), r"trajectories\[1\]: task_id is 'q'.*'y'"),
        (3, episode("ab", 0.1, "x"), r"trajectories\[3\]: total_return is 0.1; .* 0.0"),
        (2, episode("aBc", 0.5, "x"), r"trajectories\[2\]: number of steps is 3; .* 4"),
        (2, episode("aBcf", 0.5, "x"), r"trajectories\[2\].steps\[3\]: action is 'f'; .*'d'"),
        (0, episode("bb", 1.0, "x"), r"trajectories\[0\].steps\[0\]: action is 'b'; .*'a'"),
        (4, episode("q", 0.75, "x"), r"trajectories\[4\].steps\[0\]: action is 'q'; .*'e'"),
        (
            2,
            _answered(EPISODES[2], "!"),
            r"trajectories\[2\].steps\[0\]: observation is .*!'; the forest was built from ",
        ),
        (
            2,
            replace(EPISODES[2], prompt=(Message("user", "another"),)),
            r"trajectories\[0\] and trajectories\[2\] have task_id 'x' but different prompts: .*"
            r"'another'.*--openings any",
        ),
    ],
)
def test_refuses_other_trajectories(saved: Path, i: int, other: Trajectory, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        open_forest(saved, trajectories=[*EPISODES[:i], other, *EPISODES[i + 1 :]])


def test_refuses_fewer_trajectories(saved: Path) -> None:
    with pytest.raises(InvalidInput, match=r"6 trajectories given .*; .* built from 7"):
        open_forest(saved, trajectories=EPISODES[1:])


@pytest.mark.parametrize("route", ["texts", "ids"])
def test_columns_take_the_trajectories_they_are_of(route: str, forest: Forest) -> None:
    """What columns do not hold can be given afterwards, to be checked like a file's."""
    kept = EPISODES[:-1]
    if route == "texts":
        bare = build_forest_from_texts(**columns_of(kept))
    else:
        bare = build_forest_from_ids(**ids_of(kept))
    assert bare.trajectories[0].prompt == ()
    whole = bare.with_trajectories(EPISODES)
    assert whole.trajectories == forest.trajectories
    assert whole.digest() == forest.digest()
    with pytest.raises(InvalidInput, match=r"trajectories\[0\].steps\[0\]: action is 'b'"):
        bare.with_trajectories([episode("bb", 1.0, "x"), *EPISODES[1:]])
    with pytest.raises(TypeError, match=r"trajectories\[1\] is dict; expected Trajectory"):
        bare.with_trajectories([EPISODES[0], {}])  # type: ignore[list-item]


def test_observations_are_compared_as_the_rule_merges_them() -> None:
    """A normaliser's texts are equal or not; of similar ones the forest keeps one."""
    runs = [_answered(run, mark) for run, mark in zip(EPISODES, "!?" * 9, strict=False)]
    normal = Merging(normalize_observation=lambda text: text.rstrip("!?."))
    similar = Merging(min_similarity=0.5, embed=lambda t: np.ones((len(t), 2)), guard=None)
    for rule in (normal, similar):
        forest = build_forest(EPISODES, merging=rule)
        assert forest.with_trajectories(runs).trajectories == tuple(runs[:-1])
    with pytest.raises(InvalidInput, match="observation is"):
        build_forest(EPISODES, merging=normal).with_trajectories(
            [_answered(EPISODES[0], "x"), *EPISODES[1:]]
        )


# What can go wrong while saving.


# In a process of its own, whose limit is not the test runner's: files of at most 1,000 bytes,
# beyond which writes fail as on a full disk.
ON_A_FULL_DISK = """
import resource, signal, sys
import w2stree
forest = w2stree.open_forest(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    forest.save(sys.argv[2])
except OSError as error:
    print(error.strerror, error.filename)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, saved: Path) -> None:
    target = tmp_path / "full" / "f"
    target.parent.mkdir()
    target.write_bytes(b"before")
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(saved), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"File too large {target}\n"
    assert [p.name for p in target.parent.iterdir()] == ["f"]
    assert target.read_bytes() == b"before"


def test_saving_into_nowhere_is_an_os_error(tmp_path: Path, forest: Forest) -> None:
    with pytest.raises(FileNotFoundError):
        forest.save(tmp_path / "none" / "f")
    with pytest.raises(OSError, match="directory"):
        forest.save(tmp_path)
    assert list(tmp_path.parent.glob(".*partial")) == []


def test_a_rename_that_fails_leaves_no_litter(
    tmp_path: Path, forest: Forest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        forest.save(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_opens_in_another_process(saved: Path, forest: Forest) -> None:
    code = f"import w2stree; print(w2stree.open_forest({str(saved)!r}).digest())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == forest.digest()


def test_the_command_line_reads_saved_forests(
    saved: Path, forest: Forest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tree", str(saved)]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    rows = [" ".join(row).strip() for row in forest.summary().rows()]
    assert rows == shown[: len(rows)]  # then how the runs ended, and the account
    os.truncate(saved, 2000)
    assert main(["tree", str(saved)]) == 2
    assert "byte 2000" in capsys.readouterr().err
