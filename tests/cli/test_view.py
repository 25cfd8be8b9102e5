"""`w2stree view`: what is written, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.looked_at import MIXED, looked_at, write_log

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.viewer.packing import unpacked
from w2stree.viewer.page import data_of


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_log(tmp_path)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def told(*arguments: str, status: int = 0) -> str:
        assert main(arguments) == status
        written = capsys.readouterr()
        return written.err if status else written.out

    return told


def texts_of(view: str) -> str:
    _, columns = unpacked(data_of(Path(view).read_bytes()))
    return columns["text"].tobytes().decode()


def test_runs_are_written_with_their_places(log: Path, told: Callable[..., str]) -> None:
    said = told("view", log.name)
    assert "view.html" in said
    assert "8 runs read = 7 used + 1 skipped (1 ended in an error)" in said
    assert "log.jsonl:7" in texts_of("view.html")
    told("view", log.name)  # a view is replaced


def test_one_task_and_where_it_opens(log: Path, told: Callable[..., str]) -> None:
    told("view", log.name, "--task", "clean", "-o", "one.html", "--min-gap", "0.75")
    header, columns = unpacked(data_of(Path("one.html").read_bytes()))
    assert header["open_at"] == "task=clean%2Fsometimes"
    assert columns["pair_count"].tolist() == [1.0]  # 1.0 over 0.0; not 0.5 over 0.0
    assert len(columns["task"]) == 1


@pytest.mark.parametrize("in_what", [(), ("--task", "clean")])
def test_a_node_that_is_not_there_is_refused_by_the_options_name(
    log: Path, told: Callable[..., str], in_what: tuple[str, ...]
) -> None:
    said = told("view", log.name, *in_what, "--node", "999", status=2)
    assert "--node: node 999; there are" in said
    assert "open_at" not in said
    assert not Path("view.html").exists()


def test_a_saved_forest_and_another_formats_log(log: Path, told: Callable[..., str]) -> None:
    w2s.build_forest(looked_at()).save("x.forest")
    told("view", "x.forest", "-o", "x.html")
    assert "Your task is" not in texts_of("x.html")
    record = {
        "id": "t",
        "messages": [
            {"role": "user", "content": "Wash the mug."},
            {"role": "assistant", "content": "Action: wash mug"},
            {"role": "user", "content": "It is clean."},
        ],
        "reward": 1,
    }
    Path("messages.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    told("view", "messages.jsonl", "-o", "m.html")
    assert "Wash the mug." in texts_of("m.html")


def test_a_run_directory_is_its_explored_runs_and_recombined_paths(
    log: Path, told: Callable[..., str]
) -> None:
    runs = looked_at()
    better = [run for run in runs if run.task_id == MIXED][:1]
    for stage, played in (("explore", runs), ("recombine", better), ("evaluate_x", runs[:1])):
        (folder := Path("run") / stage).mkdir(parents=True)
        w2s.write_trajectories(folder / "trajectories.jsonl", played)
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
    assert "8 runs read" in told("view", "run")
    _, columns = unpacked(data_of(Path("view.html").read_bytes()))
    assert columns["path_return"].tolist() == [1.0]
    said = told("view", "run", "--task", "cook/always")
    assert "1 recombined path left out" in said


@pytest.mark.parametrize(
    "words",
    [
        *("tasks run", "stats run", "tree run", "show run --task cook/al --run best"),
        *("lint run", "pairs run -o rows.jsonl", "paths run -o paths.jsonl"),
        *("convert run -o all.jsonl", "diff run log.jsonl", "export speedscope run -o s.json"),
    ],
)
def test_every_command_of_runs_takes_a_run_directory(
    words: str, log: Path, told: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As its explored runs, and says what it says of these."""
    w2s.write_trajectories("log.jsonl", looked_at())
    for stage, played in (("explore", looked_at()), ("evaluate_x", looked_at()[:1])):
        (folder := Path("run") / stage).mkdir(parents=True)
        w2s.write_trajectories(folder / "trajectories.jsonl", played)
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
    status = main(words.split())
    of_the_directory = capsys.readouterr().out
    for written in Path().glob("*.json*"):
        if written.name != "log.jsonl":
            written.unlink()
    assert main(words.replace(" run", " run/explore", 1).split()) == status
    assert capsys.readouterr().out == of_the_directory
    assert status < 2


def test_rows_are_shown_where_they_were_made(log: Path, told: Callable[..., str]) -> None:
    told("pairs", log.name, "-o", "rows.jsonl")
    records = [json.loads(line) for line in Path("rows.jsonl").read_text("utf-8").splitlines()]
    told("view", log.name, "--rows", "rows.jsonl")
    _, columns = unpacked(data_of(Path("view.html").read_bytes()))
    assert len(records) > 0
    assert columns["row_node"].tolist() == [record["divergence"] for record in records]
    assert columns["row_gap"].tolist() == [record["gap"] for record in records]
    assert "rows.jsonl:1" in texts_of("view.html")


def test_a_folder_that_pairs_wrote_is_of_rows(log: Path, told: Callable[..., str]) -> None:
    pytest.importorskip("datasets")
    told("pairs", log.name, "-o", "rows/", "--holdout", "0.5")
    assert len(list(Path("rows/data").iterdir())) == 2
    told("pairs", log.name, "-o", "rows.jsonl")
    told("view", log.name, "--rows", "rows/")
    _, columns = unpacked(data_of(Path("view.html").read_bytes()))
    num_rows = len(Path("rows.jsonl").read_text("utf-8").splitlines())
    assert len(columns["row_node"].tolist()) == num_rows > 0
    assert "no preference rows" in told("view", log.name, "--rows", ".", status=2)


def test_rows_of_another_forest_are_refused(log: Path, told: Callable[..., str]) -> None:
    told("pairs", log.name, "-o", "rows.jsonl")
    records = [json.loads(line) for line in Path("rows.jsonl").read_text("utf-8").splitlines()]
    w2s.write_trajectories("fewer.jsonl", [t for t in looked_at() if t.task_id == MIXED])
    said = told("view", "fewer.jsonl", "--rows", "rows.jsonl", status=2)
    assert "rows.jsonl:1: was made at node 10" in said
    assert "no preference rows" in told("view", log.name, "--rows", log.name, status=2)
    row = {"prompt": [], "chosen": "a", "rejected": "b"}
    Path("theirs.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    said = told("view", log.name, "--rows", "theirs.jsonl", status=2)
    assert "theirs.jsonl:1: has no task_id" in said
    half = {**records[0], "divergence": records[0]["divergence"] + 0.5}
    Path("half.jsonl").write_text(json.dumps(half) + "\n", encoding="utf-8")
    assert "0.5 is no whole number" in told("view", log.name, "--rows", "half.jsonl", status=2)


def test_what_is_no_view_is_not_written_over(log: Path, told: Callable[..., str]) -> None:
    before = log.read_bytes()
    assert "is no view" in told("view", log.name, "-o", log.name, status=2)
    assert log.read_bytes() == before
    assert "is no view" in told("view", log.name, "-o", ".", status=2)


def test_a_node_that_is_not_there_is_refused(log: Path, told: Callable[..., str]) -> None:
    assert "node 99; there are 14 nodes" in told("view", log.name, "--node", "99", status=2)
    assert not Path("view.html").exists()
