"""`w2stree store`, and a store where other commands take runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from w2stree import Message, Step, Trajectory, build_forest
from w2stree.cli.app import main
from w2stree.formats.reading import read_trajectories
from w2stree.formats.writing import write_trajectories

pytest.importorskip("zstandard")

RUNS = [
    Trajectory(
        f"t{i % 2}",
        (Message("user", f"Do {i % 2}."),),
        (Step(f"go {i}", "ok", f"Action: go {i}"),),
        i / 4,
        "done",
    )
    for i in range(5)
]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()
    write_trajectories("logs/a.jsonl", RUNS[:3])
    write_trajectories("logs/b.json", RUNS[3:], format="messages")
    assert main(["store", "add", "all", "logs"]) == 0
    return "all"


def test_every_file_is_accounted_for(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("logs/c.jsonl").write_text("{}\n")
    capsys.readouterr()
    assert main(["store", "add", store, "logs"]) == 2
    said = capsys.readouterr()
    assert said.out == "3 files = 0 added + 2 known + 1 refused\n"
    assert said.err.startswith("w2stree: refused logs/c.jsonl:1: of no known format")
    assert main(["store", "add", store, "logs/c.jsonl", "--unread"]) == 0
    assert capsys.readouterr().out == "1 file = 1 added (not read, 0.0 MB) + 0 known + 0 refused\n"


def test_runs_and_sources_are_listed(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["store", "ls", store, "--task", "t1", "--min-return", "0.5"]) == 0
    told = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [[word.strip() for word in words if word] for words in told] == [
        ["place", "task", "steps", "return", "status"],
        ["logs/b.json: item 1", "t1", "1", "0.75", "done"],
        [],
        ["1 run"],
    ]
    assert main(["store", "ls", store, "--json", "--source", "logs/a.jsonl"]) == 0
    assert [run["place"] for run in json.loads(capsys.readouterr().out)] == [
        f"logs/a.jsonl:{i}" for i in (1, 2, 3)
    ]
    assert main(["store", "ls", store, "--sources", "--json"]) == 0
    sources = json.loads(capsys.readouterr().out)
    assert [(s["name"], s["num_runs"]) for s in sources] == [
        ("logs/a.jsonl", 3),
        ("logs/b.json", 2),
    ]


def test_exports_to_the_byte(store: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["store", "export", store, "-o", "out"]) == 0
    for name in ("a.jsonl", "b.json"):
        assert Path("out/logs", name).read_bytes() == Path("logs", name).read_bytes()
    assert main(["store", "export", store, "-o", "out"]) == 2
    assert main(["store", "export", store, "--source", "logs/b.json", "-o", "b"]) == 0
    assert Path("b").read_bytes() == Path("logs/b.json").read_bytes()
    capsysbinary.readouterr()
    assert main(["store", "export", store, "--run", "logs/a.jsonl:2", "-o", "-"]) == 0
    line = Path("logs/a.jsonl").read_bytes().splitlines(keepends=True)[1]
    assert capsysbinary.readouterr().out == line
    assert main(["store", "export", store, "--run", "logs/b.json: item 1", "-o", "x"]) == 2
    assert b"export its source" in capsysbinary.readouterr().err


def test_other_commands_read_a_store(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "export", store, "--as-runs", "-o", "runs.jsonl"]) == 0
    runs = read_trajectories("runs.jsonl")
    assert len(runs) == len(RUNS)
    assert build_forest(runs).digest() == build_forest(RUNS).digest()
    capsys.readouterr()
    assert main(["tree", store]) == 0
    assert "5 runs read = 5 used" in capsys.readouterr().out


def test_a_run_is_named_by_its_place_in_a_store(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the list says that has it."""
    capsys.readouterr()
    assert main(["show", store, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [run["place"] for run in listed] == [
        *(f"all/logs/a.jsonl:{i}" for i in (1, 2, 3)),
        "all/logs/b.json: item 1",
        "all/logs/b.json: item 2",
    ]
    for run, kept in zip(listed, RUNS, strict=True):
        assert main(["show", run["place"], "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["place"], shown["task_id"]) == (run["place"], kept.task_id)
    assert main(["diff", f"./{store}/logs/a.jsonl:1", "logs/a.jsonl:3"]) == 1
    assert "all/logs/a.jsonl:1" in capsys.readouterr().out
    assert main(["tasks", f"{store}/logs/b.json"]) == 0
    assert "2 runs read = 2 used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (["doctor"], "w2stree convert all/logs/a.jsonl -o runs.jsonl"),
        (["verify"], "w2stree convert"),
        (["tree", "--engine", "local", "-o", "f"], "convert all/logs/a.jsonl -o runs.parquet"),
        (["store", "add", "new"], "w2stree store export"),
    ],
)
def test_what_takes_no_store_takes_no_file_in_one(
    store: str, words: list[str], way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pydantic")
    pytest.importorskip("pyarrow")
    for path, what in ((store, "a store"), (f"{store}/logs/a.jsonl", "in a store")):
        capsys.readouterr()
        assert main([*words, path]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"w2stree: {path}: {what}, which this command does not take: ")
        assert way in said.replace(f"convert {store} ", f"convert {store}/logs/a.jsonl ")
    assert not Path("new").exists() and not Path("f").exists()


def test_a_file_in_a_store_is_trained_on(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As far as to the model, which there is none of."""
    pytest.importorskip("trl")
    capsys.readouterr()
    options = ["--model", "none", "--output", "out"]
    assert main(["train", "sft", f"{store}/logs/a.jsonl", *options]) == 2
    said = capsys.readouterr().err
    assert said == "w2stree: none: no config.json; give the directory of a causal LM\n"


def test_what_is_not_in_a_store_is_refused(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd:2").mkdir()
    Path("odd:2/x:3").write_bytes(Path("logs/a.jsonl").read_bytes())
    assert main(["store", "add", store, "odd:2/x:3"]) == 0
    for place, why in (
        ("all/logs/a.jsonl:9", "all/logs/a.jsonl:9: no run begins there"),
        ("all/logs/c.jsonl", "all: no source 'logs/c.jsonl'; there are logs/a.jsonl, "),
        ("logs/all/a.jsonl", "logs/all/a.jsonl: no such file"),
    ):
        capsys.readouterr()
        assert main(["show", place]) == 2
        assert why in capsys.readouterr().err
    assert main(["show", "all/odd:2/x:3:2"]) == 0, "a name may have what a place has"
    assert main(["tree", "all/odd:2/x:3"]) == 0


def test_removes_collects_and_checks(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["store", "check", store]) == 0
    assert capsys.readouterr().out == "2 sources = 2 as added + 0 damaged\n"
    assert main(["store", "rm", store, "logs/a.jsonl", "logs/b.json"]) == 0
    assert main(["store", "gc", store]) == 0
    assert "1 file removed" in capsys.readouterr().out
    assert main(["store", "rm", store, "logs/a.jsonl"]) == 2
    assert main(["store", "ls", "logs"]) == 2
    assert "no store" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "verify"])
def test_what_takes_no_store_names_the_way(
    store: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pydantic")
    capsys.readouterr()
    assert main([command, store]) == 2
    said = capsys.readouterr().err
    assert said.startswith("w2stree: all: a store, which this command does not take: ")
    assert "w2stree convert" in said and "catalogue.sqlite" not in said
    assert main(["convert", store, "-o", "runs.jsonl"]) == 0
    assert main(["doctor", "runs.jsonl"]) in (0, 1), "the way is one"


def test_a_folder_without_files_is_refused_with_what_is_below_it(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("above/deep").mkdir(parents=True)
    Path("logs").rename("above/deep/logs")
    capsys.readouterr()
    for folder, way in {
        "above/deep": "read one of its folders: logs; or all of them (--recursive)",
        "above": "its folders are read with recursive (--recursive)",
    }.items():
        assert main(["store", "add", "new", folder]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", f"w2stree: {folder}: no files of runs; {way}\n")
        assert main(["tree", folder]) == 2
        assert capsys.readouterr().err == said.err
    assert not Path("new").exists(), "nothing is made"
    assert main(["store", "add", "new", "above", "--recursive"]) == 0


def test_of_a_run_directory_the_explored_runs_are_added(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("run/explore").mkdir(parents=True)
    Path("run/explore/manifest.json").write_text("{}")
    write_trajectories("run/explore/trajectories.jsonl", RUNS)
    capsys.readouterr()
    assert main(["store", "add", "new", "run"]) == 0
    assert capsys.readouterr().out.startswith("1 file = 1 added (5 runs, ")
