"""How commands take runs: paths, patterns, standard input; and the account of all that was read."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from w2stree import InvalidInput, Step, Trajectory, write_trajectories
from w2stree.cli.app import main
from w2stree.cli.inputs import Runs, Source
from w2stree.errors import FilesPassedOver, JournalError, RepeatedTrajectories
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin


def run(task: str, sample: int, *, status: str = "done", attempt: int = 0) -> Trajectory:
    origin = Origin(sample_index=sample, seed=0, attempt=attempt)
    return Trajectory(task, (), (Step("look", f"{sample}"),), 1.0, status, origin)  # type: ignore[arg-type]


def read_runs(paths: list[str], **options: bool) -> Runs:
    return Source(paths=paths, **options).read()  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a.jsonl, b.jsonl, and a journal within; the current directory."""
    monkeypatch.chdir(tmp_path)
    write_trajectories("a.jsonl", [run("a", 0), run("a", 1)])
    write_trajectories("b.jsonl", [run("b", 0), run("b", 1, status="error")])
    Path("within").mkdir()
    with Journal("within/c.journal") as journal:
        journal.append(run("c", 0, status="error"))
        journal.append(run("c", 0, attempt=1))
    return tmp_path


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def test_several_paths_are_one_reading(folder: Path) -> None:
    Path("copy.jsonl").write_bytes(Path("a.jsonl").read_bytes())
    with pytest.warns(RepeatedTrajectories, match="2 trajectories are twice and once counted"):
        runs = read_runs(["a.jsonl", "b.jsonl", "within", "copy.jsonl"])
    assert [(t.task_id, t.origin.sample_index) for t in runs.trajectories] == [
        *(("a", 0), ("a", 1), ("b", 0), ("b", 1), ("c", 0)),
    ]
    assert runs.places[:4] == ["a.jsonl:1", "a.jsonl:2", "b.jsonl:1", "b.jsonl:2"]
    assert runs.places[4].startswith("within/c.journal: byte ")
    assert runs.skipped == {"read before": 2, "superseded by another attempt": 1}
    assert runs.account() == (
        "8 runs read = 5 used + 3 skipped (2 read before, 1 superseded by another attempt)"
    )


def test_what_is_left_out_is_counted_by_reason(folder: Path) -> None:
    runs = read_runs(["a.jsonl", "b.jsonl"]).finished().only(lambda t: t.task_id == "b", "others")
    assert [(t.task_id, p) for t, p in zip(runs.trajectories, runs.places, strict=True)] == [
        ("b", "b.jsonl:1")
    ]
    assert runs.account() == "4 runs read = 1 used + 3 skipped (1 ended in an error, 2 others)"
    assert runs.only(lambda t: True, "nothing").account() == runs.account()
    with pytest.raises(InvalidInput, match=r"^b\.jsonl: all of its 1 trajectories are error rows"):
        read_runs(["b.jsonl"]).only(lambda t: t.status == "error", "done").finished()


MESSAGES = [
    {"role": "user", "content": "Book."},
    {"role": "assistant", "content": "search"},
    {"role": "user", "content": "Found."},
]
OTHER = [MESSAGES[0], {"role": "assistant", "content": "give up"}]
LOST = {"task_id": "t", "reward": 0, "error": "budget exceeded", "messages": OTHER}


@pytest.mark.parametrize(
    "command",
    [
        *(["pairs", "-o", "x.jsonl"], ["paths", "-o", "x.jsonl", "--min-return", "2"]),
        *(["bisect", "--task", "t"], ["pairs", "-o", "x.jsonl", "--reward-field", "reward"]),
    ],
)
def test_what_ends_with_nothing_says_which_errors_it_left_out(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    won = {"task_id": "t", "reward": 1, "error": None, "messages": MESSAGES}
    Path("logs.jsonl").write_text(f"{json.dumps(won)}\n{json.dumps(LOST)}\n")
    main([command[0], "logs.jsonl", *command[1:]])
    said = "".join(capsys.readouterr())
    assert "; left out: 1 run that ended in an error (logs.jsonl:2: budget exceeded); if" in said
    assert "rename the field error in these records" in said
    renamed = {**LOST, "agent_error": LOST["error"]}
    del renamed["error"]
    Path("logs.jsonl").write_text(f"{json.dumps(won)}\n{json.dumps(renamed)}\n")
    Path("x.jsonl").unlink(missing_ok=True)
    main([command[0], "logs.jsonl", *command[1:]])
    assert "ended in an error" not in "".join(capsys.readouterr())


def test_error_rows_alone_say_what_to_do_too(folder: Path) -> None:
    Path("logs.jsonl").write_text(json.dumps(LOST) + "\n")
    with pytest.raises(InvalidInput, match=r"error rows; the first: budget exceeded; if .*rename"):
        read_runs(["logs.jsonl"]).finished()


@pytest.mark.parametrize(
    "command",
    [
        *("pairs", "pairs --kind kto", "pairs --for llama-factory", "paths", "paths --kind kto"),
        *("paths --kind prompts", "advantages"),
    ],
)
def test_rows_in_the_folder_of_the_logs_are_no_runs(folder: Path, command: str) -> None:
    Path("logs").mkdir()
    lost = {key: value for key, value in LOST.items() if key != "error"}
    won = {"task_id": "t", "reward": 1, "messages": MESSAGES}
    Path("logs/a.jsonl").write_text(f"{json.dumps(won)}\n{json.dumps(lost)}\n")
    assert main([*command.split(), "logs", "-o", "logs/made.jsonl"]) == 0
    name = "pairs or paths" if "kto" in command else command.split()[0]
    with pytest.warns(FilesPassedOver, match=rf"made.jsonl \(rows that w2stree {name} wrote, no"):
        assert len(read_runs(["logs"]).trajectories) == 2
    with pytest.raises(
        InvalidInput, match=rf"made\.jsonl:1: these are rows that w2stree {name} wr"
    ):
        read_runs(["logs/made.jsonl"])


def test_patterns_that_no_shell_expanded(folder: Path) -> None:
    assert len(read_runs(["[ab].jsonl"]).trajectories) == 4
    assert len(read_runs(["**/*.journal"]).trajectories) == 1
    Path("x[1].jsonl").write_bytes(Path("b.jsonl").read_bytes())
    assert read_runs(["x[1].jsonl"]).places[0] == "x[1].jsonl:1"  # a name, not a pattern
    with pytest.raises(FileNotFoundError, match=r"\*\.csv: no file matches this pattern"):
        read_runs(["a.jsonl", "*.csv"])


@pytest.mark.parametrize("paths", [["a.jsonl", "./a.jsonl"], [".", "a.jsonl"]])
def test_a_file_given_twice_is_read_once(folder: Path, paths: list[str]) -> None:
    with pytest.warns(FilesPassedOver, match=r"a\.jsonl \(given before, as .*a\.jsonl\)"):
        runs = read_runs(paths)
    assert sum(t.task_id == "a" for t in runs.trajectories) == 2
    assert runs.skipped == {}


@pytest.mark.filterwarnings("ignore::w2stree.errors.FilesPassedOver")
def test_folders_within_when_asked(folder: Path) -> None:
    assert len(read_runs(["."]).trajectories) == 4
    assert len(read_runs(["."], recursive=True).trajectories) == 5


def test_standard_input(folder: Path, stdin: Callable[[bytes], None]) -> None:
    stdin(Path("b.jsonl").read_bytes())
    runs = read_runs(["a.jsonl", "-"])
    assert len(runs.trajectories) == 4
    assert runs.places == ["a.jsonl:1", "a.jsonl:2", "standard input:1", "standard input:2"]
    stdin(Path("a.jsonl").read_bytes())
    with pytest.warns(RepeatedTrajectories, match=r"\(standard input:1 is a\.jsonl:1\)"):
        read_runs(["a.jsonl", "-"])


def test_a_pipe_is_read_whole(folder: Path) -> None:
    """Reading looks at a file's beginning first, which a pipe gives once."""
    os.mkfifo("pipe")
    data = Path("a.jsonl").read_bytes()
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(data))
    writer.start()
    runs = read_runs(["pipe", "b.jsonl"])
    writer.join()
    assert len(runs.trajectories) == 4
    assert runs.places[:2] == ["pipe:1", "pipe:2"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}\n", r"^standard input:1: of no known format: "),
        (b"[]\n", r"^standard input:1: no JSON-lines file of trajectories"),
        (b"w2s1 000", r"^standard input:1: .*journal is named \.journal"),
    ],
)
def test_what_is_wrong_in_standard_input_is_named_there(
    stdin: Callable[[bytes], None], data: bytes, message: str
) -> None:
    stdin(data)
    with pytest.raises(InvalidInput, match=message):
        read_runs(["-"])


def test_standard_input_is_read_once(stdin: Callable[[bytes], None]) -> None:
    with pytest.raises(InvalidInput, match="- is given twice"):
        read_runs(["-", "-"])


def test_each_path_has_something_to_read(folder: Path) -> None:
    Path("empty").mkdir()
    for path, message in (
        ("nosuch", "nosuch: no such file"),
        ("empty", r"empty: no files of runs"),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            read_runs(["a.jsonl", path])


def test_damage_is_refused_or_counted(folder: Path) -> None:
    journal = Path("within/c.journal")
    first, second = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first.replace(b"look", b"Look") + second)
    with pytest.raises(JournalError):
        read_runs(["within"])
    with pytest.warns(FilesPassedOver, match="1 damaged places"):
        runs = read_runs(["within"], salvage=True)
    assert runs.account() == "2 runs read = 1 used + 1 skipped (1 damaged)"
