"""The store of runs: what is in it comes back to the byte, is there once, and is said."""

from __future__ import annotations

import errno
import json
import os
import random
import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest

from w2stree import Message, Step, Trajectory
from w2stree.errors import InvalidInput, StoreError
from w2stree.formats.writing import write_trajectories
from w2stree.store import Store
from w2stree.store.adding import Outcome, add
from w2stree.store.catalogue import FILE
from w2stree.store.segment import Contents, write_segment
from w2stree.store.store import SEGMENTS, gc, remove

pytest.importorskip("zstandard")

FORMATS = ("w2stree", "eto", "agenttraj", "sharegpt", "messages", "responses", "atif", "verifiers")


def runs(num: int, words: str = "You see a fridge, which is closed.") -> list[Trajectory]:
    return [
        Trajectory(
            f"task-{i % 3}",
            (Message("user", f"Fry egg {i % 3}, then eat it, and say so."),),
            tuple(
                Step(
                    f"go to room {j}",
                    f"{words} It is lamp {i * 7919 + j}.",
                    f"Thought: Hm.\nAction: go to room {j}",
                )
                for j in range(2 + i % 4)
            ),
            (i % 5) / 4,
            "done",
        )
        for i in range(num)
    ]


def added(folder: Path, *files: Path, **how: object) -> list[Outcome]:
    return list(add(folder, files, **how))  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    """Every source by its name, read and checked."""
    with Store(folder) as store:
        return {s.name: b"".join(store.read(s)) for s in store.sources() if s.is_newest}


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `logs`, which the tests stand beside."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    return Path("logs")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".jsonl.gz", ".parquet"])
def test_every_format_comes_back_to_the_byte(logs: Path, name: str, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    file = logs / f"runs{suffix}"
    try:
        write_trajectories(file, runs(12), format=name)
    except InvalidInput:
        pytest.skip(f"{name} has no {suffix}")
    (outcome,) = added(Path("store"), file)
    assert (outcome.what, outcome.num_runs) == ("added", 12)
    assert contents(Path("store")) == {f"logs/runs{suffix}": file.read_bytes()}


@pytest.mark.parametrize(("name", "known"), [("log.eval", "inspect"), ("s.jsonl", "opentelemetry")])
def test_whole_files_come_back_too(logs: Path, name: str, known: str) -> None:
    write_trajectories(logs / name, runs(5), format=known)
    (outcome,) = added(Path("store"), logs / name)
    assert outcome.num_runs == 5
    assert contents(Path("store")) == {f"logs/{name}": (logs / name).read_bytes()}


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"\n\n\n", b"no end", b'"' * 70_000, bytes(range(256)) * 900, b"x" * 300_000],
    ids=["empty", "line", "lines", "cut", "quotes", "binary", "long"],
)
def test_any_bytes_come_back_unread(logs: Path, data: bytes) -> None:
    (logs / "a").write_bytes(data)
    (logs / "b").write_bytes(data + b"more")
    assert [o.what for o in added(Path("store"), logs / "a", logs / "b", reads=False)] == [
        "added"
    ] * 2
    assert contents(Path("store")) == {"logs/a": data, "logs/b": data + b"more"}


def test_the_same_bytes_are_there_once_and_it_is_said(logs: Path) -> None:
    write_trajectories(logs / "a.jsonl", runs(50))
    (logs / "b.jsonl").write_bytes((logs / "a.jsonl").read_bytes())
    assert [o.what for o in added(Path("s"), logs)] == ["added", "known"]
    before = sum(f.stat().st_size for f in Path("s", SEGMENTS).iterdir())
    assert [o.what for o in added(Path("s"), logs)] == ["known", "known"]
    assert sum(f.stat().st_size for f in Path("s", SEGMENTS).iterdir()) == before
    assert set(contents(Path("s"))) == {"logs/a.jsonl", "logs/b.jsonl"}


def test_a_file_that_grew_keeps_both_states(logs: Path) -> None:
    file = logs / "a.jsonl"
    write_trajectories(file, runs(5))
    first = file.read_bytes()
    added(Path("s"), file)
    write_trajectories(file, runs(9))
    added(Path("s"), file)
    with Store("s") as store:
        written = store.export("out")
    assert sorted(f.read_bytes() for f in written) == sorted([first, file.read_bytes()])
    assert Path("out/logs/a.jsonl").read_bytes() == file.read_bytes()
    file.write_bytes(first)
    assert [o.what for o in added(Path("s"), file)] == ["known"]
    assert contents(Path("s")) == {"logs/a.jsonl": first}


def test_what_returns_is_kept_once(logs: Path) -> None:
    """Calls that each repeat all before them: twice as many calls are hardly more bytes."""
    chance = random.Random(0)
    said = [f"{chance.getrandbits(400):x} is what I see here." for _ in range(120)]
    sizes = []
    for num_calls in (60, 120):
        calls = [json.dumps({"call": i, "messages": said[:i]}) + "\n" for i in range(num_calls)]
        (logs / "a").write_text("".join(calls))
        added(Path(f"s{num_calls}"), logs / "a", reads=False)
        sizes.append(sum(f.stat().st_size for f in Path(f"s{num_calls}", SEGMENTS).iterdir()))
    assert sizes[1] < 2.2 * sizes[0]
    assert (logs / "a").stat().st_size > 50 * sizes[1]


def test_runs_are_listed_by_place(logs: Path) -> None:
    write_trajectories(logs / "a.jsonl", expected := runs(7))
    added(Path("s"), logs)
    with Store("s") as store:
        found = store.runs(store.source("logs/a.jsonl"))
        line = store.record(found[3].place)
    assert [(r.task_id, r.num_steps, r.total_return, r.status) for r in found] == [
        (t.task_id, len(t.steps), t.total_return, t.status) for t in expected
    ]
    assert line == (logs / "a.jsonl").read_bytes().splitlines(keepends=True)[3]


def test_any_line_is_read_alone(logs: Path) -> None:
    """Lines in one block after others, of pieces that lie in several segments."""
    files = {f"{name}.jsonl": runs(count) for name, count in (("a", 5), ("b", 9), ("c", 7))}
    for name, trajectories in files.items():
        write_trajectories(logs / name, trajectories)
        added(Path("s"), logs / name)
    with Store("s") as store:
        for name in files:
            lines = (logs / name).read_bytes().splitlines(keepends=True)
            assert [store.record(f"logs/{name}:{i}") for i in range(1, len(lines) + 1)] == lines


def test_what_cannot_be_read_is_refused_and_nothing_of_it_kept(logs: Path) -> None:
    write_trajectories(logs / "a.jsonl", runs(3))
    (logs / "b.jsonl").write_text('{"task_id": "egg"}\n')
    first, second = added(Path("s"), logs)
    assert (first.what, second.what) == ("added", "refused")
    assert second.reason.startswith("logs/b.jsonl:1: ")
    assert set(contents(Path("s"))) == {"logs/a.jsonl"}


def test_unread_sources_are_read_when_they_are_added_again(logs: Path) -> None:
    write_trajectories(logs / "a.jsonl", runs(3))
    added(Path("s"), logs, reads=False)
    with Store("s") as store:
        assert store.source("logs/a.jsonl").num_runs is None
    assert [o.what for o in added(Path("s"), logs)] == ["known"]
    with Store("s") as store:
        assert store.source("logs/a.jsonl").num_runs == 3


def test_removed_bytes_go_once_nobody_needs_them(logs: Path) -> None:
    for name, words in (("a", "You see a fridge."), ("b", "Nothing but a lamp here.")):
        write_trajectories(logs / f"{name}.jsonl", runs(200, words))
        added(Path("s"), logs / f"{name}.jsonl")
    kept = contents(Path("s"))
    assert remove("s", ["logs/a.jsonl"]) == 1
    assert gc("s").num_segments == 0  # b's records are made of pieces that came with a
    assert contents(Path("s")) == {"logs/b.jsonl": kept["logs/b.jsonl"]}
    remove("s", ["logs/b.jsonl"])
    assert gc("s").num_segments == 2
    assert contents(Path("s")) == {}
    assert not list(Path("s", SEGMENTS).iterdir())
    added(Path("s"), logs)
    assert contents(Path("s")) == kept
    with pytest.raises(InvalidInput, match="no source 'x'"):
        remove("s", ["x"])


def test_one_writer_at_a_time_and_readers_beside_it(logs: Path) -> None:
    write_trajectories(logs / "a.jsonl", runs(3))
    added(Path("s"), logs)
    write_trajectories(logs / "b.jsonl", runs(4))
    first = add("s", [logs])
    next(first)
    with pytest.raises(StoreError, match="is being written by process"):
        added(Path("s"), logs)
    with pytest.raises(StoreError, match="is being written by process"):
        gc("s")
    assert "logs/a.jsonl" in contents(Path("s"))
    first.close()
    assert [o.what for o in added(Path("s"), logs)] == ["known", "known"]


def test_an_open_store_is_as_it_was(logs: Path) -> None:
    write_trajectories(logs / "a.jsonl", runs(3))
    added(Path("s"), logs)
    with Store("s") as store:
        write_trajectories(logs / "b.jsonl", runs(4))
        added(Path("s"), logs)
        assert [s.name for s in store.sources()] == ["logs/a.jsonl"]
        assert b"".join(store.read(store.source("logs/a.jsonl"))) == (logs / "a.jsonl").read_bytes()


def test_every_flipped_byte_is_told_or_harmless(logs: Path) -> None:
    """With the segment's name; never are other bytes given out."""
    write_trajectories(logs / "a.jsonl", runs(30))
    added(Path("s"), logs)
    expected = contents(Path("s"))
    (segment,) = Path("s", SEGMENTS).iterdir()
    data = segment.read_bytes()
    for at in range(0, len(data), 7):
        segment.write_bytes(data[:at] + bytes([data[at] ^ 64]) + data[at + 1 :])
        try:
            assert contents(Path("s")) == expected
        except StoreError as error:
            assert segment.name in str(error) or "another digest" in str(error)
    for size in (0, 1, 8, len(data) // 2, len(data) - 1):
        segment.write_bytes(data[:size])
        with pytest.raises(StoreError, match=segment.name):
            contents(Path("s"))
    segment.unlink()
    with pytest.raises(StoreError, match=segment.name):
        contents(Path("s"))


def test_a_full_disk_loses_nothing_acknowledged(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trajectories(logs / "a.jsonl", runs(3))
    added(Path("s"), logs)
    before = contents(Path("s"))
    write_trajectories(logs / "b.jsonl", runs(9))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"could not be written \(No space left"):
            added(Path("s"), logs)
    assert contents(Path("s")) == before
    assert [o.what for o in added(Path("s"), logs)] == ["known", "added"]


def test_a_piece_that_no_record_has_is_never_written(tmp_path: Path) -> None:
    """Readers count the pieces that are new: one more would shift all after it."""
    data = np.frombuffer(b"abc", np.uint8)
    offset, record = np.array([0, 1, 2, 3]), np.array([0, 2])
    write_segment(tmp_path / "a", Contents(data, offset[:3], np.array([0, 1]), record, 0, 0))
    with pytest.raises(StoreError, match="a segment of 3 pieces from 0 on cannot be written"):
        write_segment(tmp_path / "b", Contents(data, offset, np.array([0, 2]), record, 0, 0))
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_what_is_no_store_is_refused(logs: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        Store(logs)
    with pytest.raises(StoreError, match="no such folder"):
        Store("absent")
    (logs / "x").write_text("x")
    with pytest.raises(StoreError, match="no store, and not empty"):
        added(logs, logs / "x")
    Path("fake").mkdir()
    Path("fake", FILE).write_bytes(zlib.compress(b"x" * 999))
    with pytest.raises(StoreError, match="cannot be opened"):
        Store("fake")
    with pytest.raises(FileNotFoundError):
        added(Path("new"), Path("absent.jsonl"))
    assert not Path("new").exists()


def test_names_stay_within_the_folder(logs: Path) -> None:
    write_trajectories(logs / "a.jsonl", runs(2))
    outcomes = added(Path("s"), logs.absolute() / "a.jsonl", Path("logs/../logs/a.jsonl"))
    assert [".." in o.name or o.name.startswith("/") for o in outcomes] == [False, False]
    with sqlite3.connect("s/" + FILE) as catalogue:
        catalogue.execute("UPDATE name SET name = '../../evil' WHERE name LIKE 'logs%'")
    catalogue.close()
    with Store("s") as store, pytest.raises(StoreError, match="leads out of the folder"):
        store.export("out")


def test_a_source_beside_runs_is_kept_without_runs(logs: Path) -> None:
    (logs / "state.json").write_text(json.dumps({"_data_files": "none"}))
    write_trajectories(logs / "a.jsonl", runs(2))
    assert [(o.name, o.num_runs) for o in added(Path("s"), logs)] == [
        ("logs/a.jsonl", 2),
        ("logs/state.json", 0),
    ]
