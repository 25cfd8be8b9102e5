"""`w2stree tree`: a log summed up, under the rule of merging that is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from w2stree import Merging, Step, Trajectory, build_forest, write_trajectories
from w2stree.cli.app import main
from w2stree.errors import FilesPassedOver
from w2stree.trajectories.origin import Origin


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two runs that see the same things in another order."""
    seen = ("a key, a lamp", "a lamp, a key")
    runs = [
        Trajectory("t", (), (Step("look", text), Step("take key", "")), float(i), "done")
        for i, text in enumerate(seen)
    ]
    file = tmp_path / "log.jsonl"
    write_trajectories(file, runs)
    return file


def nodes(capsys: pytest.CaptureFixture[str]) -> int:
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("nodes "))
    return int(line.split()[-1])


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_the_rule_of_merging_is_an_option(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", str(log)]) == 0
    assert nodes(capsys) == 5
    assert main(["tree", str(log), "--normalize", "sort_words"]) == 0
    assert nodes(capsys) == 3


def test_where_nothing_was_played_the_path_is_named_and_the_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    for runs, message in [
        ([], "there are no trajectories in it"),
        (
            [
                Trajectory("t", (), (), 0.0, "error", Origin(sample_index=i, seed=0, error=error))
                for i, error in enumerate(("the shop is closed", "and the mall"))
            ],
            "all of its 2 trajectories are error rows; the first: the shop is closed",
        ),
    ]:
        write_trajectories(log, runs)
        assert main(["tree", str(log)]) == 2
        assert f"{log}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--normalize", "os:remove"], "normalize_observation='os:remove' is not known"),
        (["--min-similarity", "2"], "'--min-similarity': '2'; give a number in (0, 1]"),
        (["--min-similarity", "0.9", "--embed", "word2vec"], "embed='word2vec' is not known"),
        (["--embed", "all-MiniLM-L6-v2"], "give --min-similarity"),
        (["--no-guard"], "give --min-similarity"),
    ],
)
def test_a_rule_that_is_none_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["tree", str(log), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_a_saved_forest_keeps_its_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = (Step("look", "a key"),)
    rule = Merging(normalize_observation="sort_words")
    saved = tmp_path / "forest"
    build_forest([Trajectory("t", (), steps, 1.0, "done")], merging=rule).save(saved)
    assert main(["tree", str(saved)]) == 0
    assert main(["tree", str(saved), "--normalize", "sort_words"]) == 0
    capsys.readouterr()
    assert main(["tree", str(saved), "--min-similarity", "0.9"]) == 2
    assert "was merged by another rule" in capsys.readouterr().err


def test_of_a_run_the_stages_with_trajectories_are_named(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    for stage in ("explore", "evaluate_sft", "sft", ".half.partial"):
        (run / stage).mkdir(parents=True)
        if stage != "sft":
            (run / stage / "trajectories.jsonl").write_bytes(log.read_bytes())
    assert main(["tree", str(run)]) == 2
    told = capsys.readouterr().err
    assert told.endswith(
        "no files of runs; read one of its folders: evaluate_sft, explore; or all of them "
        "(--recursive)\n"
    )
    assert main(["tree", str(run / "sft")]) == 2
    assert capsys.readouterr().err.endswith("no files of runs\n")


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_a_directory_is_read_whole_or_what_is_not_is_said(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = log.parent
    (folder / "within").mkdir()
    third = Trajectory("t", (), (Step("look", "a door"),), 0.0, "done")
    write_trajectories(folder / "within" / "more.ndjson", [third])
    (folder / "\x1b[2J.csv").write_text("task,return\n")
    with pytest.warns(FilesPassedOver, match=r": passed over within \(a folder: .* \\x1b\[2J\.csv"):
        assert main(["tree", str(folder)]) == 0
    assert re.search(r"^trajectories +2$", capsys.readouterr().out, re.MULTILINE)
    with pytest.warns(FilesPassedOver):
        assert main(["tree", str(folder), "--recursive"]) == 0
    assert re.search(r"^trajectories +3$", capsys.readouterr().out, re.MULTILINE)


def test_a_reader_that_leaves_early_is_no_error(log: Path) -> None:
    """As `w2stree tree LOG | head`."""
    command = [sys.executable, "-m", "w2stree", "tree", str(log), "--task", "t"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert b"roken" not in process.stderr.read()
    assert process.returncode == 141
