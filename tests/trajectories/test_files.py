"""Files of trajectories as they come: whatever a folder has is read, or said not to be."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import episode

from w2stree import InvalidInput, Trajectory, read_trajectories, write_trajectories
from w2stree.errors import FilesPassedOver, JournalError, RepeatedTrajectories
from w2stree.trajectories.files import read_files
from w2stree.trajectories.frames import encode_frame
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.json_text import is_cut
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.reading_limits import ReadingLimits


def run(sample: int, *, seed: int | None = 0, attempt: int = 0, total: float = 1.0) -> Trajectory:
    origin = Origin(sample_index=sample, attempt=attempt, seed=seed, policy="random")
    return replace(episode("ab", total), origin=origin)


RUNS = [run(sample) for sample in range(3)]


def as_lines(trajectories: list[Trajectory]) -> bytes:
    return "".join(t.to_json() + "\n" for t in trajectories).encode()


def as_journal(trajectories: list[Trajectory]) -> bytes:
    return b"".join(encode_frame(t.to_json().encode()) for t in trajectories)


def zstandard(data: bytes) -> bytes:
    return bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(data))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.jsonl", bytes),
        ("a.JSONL", bytes),
        ("a.ndjson", bytes),
        ("a.jsonl.gz", gzip.compress),
        ("a.ndjson.GZ", lambda data: gzip.compress(data[:40]) + gzip.compress(data[40:])),
        ("a.jsonl.zst", zstandard),
        ("a.jsonl.zst", lambda data: zstandard(data[:40]) + zstandard(data[40:])),
        ("a.jsonl", gzip.compress),
    ],
)
@pytest.mark.parametrize("change", [bytes, lambda data: data.replace(b"\n", b"\r\n"),
                                    lambda data: codecs.BOM_UTF8 + data])  # fmt: skip
def test_every_file_of_json_lines_is_read(
    name: str, pack: Callable[[bytes], bytes], change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(pack(change(as_lines(RUNS))))
    assert read_trajectories(tmp_path) == RUNS
    assert read_trajectories(tmp_path / name) == RUNS


@pytest.mark.parametrize("change", [lambda data: data.replace(b"\n", b"\r\n"),
                                    lambda data: codecs.BOM_UTF8 + data])  # fmt: skip
def test_a_journal_survives_an_editor(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "a.journal").write_bytes(change(as_journal(RUNS)))
    assert read_trajectories(tmp_path) == RUNS


def test_a_journal_with_other_line_ends_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    whole = codecs.BOM_UTF8 + as_journal(RUNS).replace(b"\n", b"\r\n")
    start = len(whole) - len(as_journal(RUNS[2:])) - 1
    for size in (len(whole) - 1, len(whole) - 2, start + 40, start + 3):
        path.write_bytes(whole[:size])
        with Journal(path) as journal:
            assert journal.num_torn_bytes == size - start
            journal.append(RUNS[2])
        assert path.read_bytes() == whole[:start] + as_journal(RUNS[2:])
        assert read_trajectories(path) == RUNS
    path.write_bytes(whole)
    with Journal(path) as journal:
        assert len(journal.keys) == 3
        journal.append(run(3))
        journal.commit()
        assert list(journal.episodes()) == [*RUNS, run(3)]


def test_a_mark_may_stand_on_a_blank_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(codecs.BOM_UTF8 + b"\r\n" + as_lines(RUNS))
    assert read_trajectories(tmp_path) == RUNS


def test_an_utf_16_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.journal").write_bytes(as_journal(RUNS).decode().encode("utf-16"))
    with pytest.raises(JournalError, match=r"a\.journal: this is UTF-16: convert it with iconv"):
        read_trajectories(tmp_path)


def test_what_is_not_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(as_lines(RUNS))
    for name in ("a.csv", "b.parquet", "c.json", "d.txt", "e.jsonl.bz2", ".b.jsonl"):
        (tmp_path / name).write_bytes(b"?")
    for name in ("config.json", "manifest.json", ".lock", ".hashes.json"):  # as every run has them
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "within").mkdir()
    (tmp_path / "within" / "z.jsonl").write_bytes(as_lines([run(7)]))
    (tmp_path / "x.jsonl").mkdir()
    (tmp_path / "f.jsonl").symlink_to(tmp_path / "gone")
    (tmp_path / "g.jsonl").symlink_to(tmp_path / "a.jsonl")
    os.link(tmp_path / "a.jsonl", tmp_path / "h.jsonl")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "i.jsonl")

    reading = read_files(tmp_path)
    assert (reading.trajectories, reading.files) == (RUNS, {tmp_path / "a.jsonl": 3})
    assert {entry.path for entry in reading.passed_over} == {*tmp_path.iterdir()} - {
        tmp_path / "a.jsonl"
    }
    told = (
        r"passed over within, x\.jsonl \(a folder: read with recursive \(--recursive\)\), "
        r"loop \(a link to a folder\), f\.jsonl \(a link to nothing\), \.b\.jsonl \(hidden\), "
        r"i\.jsonl \(no file\), a\.csv, d\.txt \(no suffix of runs .*\), b\.parquet, c\.json "
        r"\(nothing in it can be read\), e\.jsonl\.bz2 \(packed, .*\), g\.jsonl, h\.jsonl "
        r"\(the same file as a\.jsonl\)$"
    )
    with pytest.warns(FilesPassedOver, match=told):
        assert read_trajectories(tmp_path) == RUNS
    with pytest.warns(FilesPassedOver):
        assert read_trajectories(tmp_path, recursive=True) == [*RUNS, run(7)]


def test_a_run_directory_warns_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "episodes.journal").write_bytes(as_journal(RUNS))
    for name in ("config.json", "tasks.json", ".lock", ".episodes.journal.owner"):
        (tmp_path / name).write_bytes(b"{}")
    assert read_trajectories(tmp_path) == RUNS
    assert len(read_files(tmp_path).passed_over) == 4


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("pack", [gzip.compress, zstandard])
def test_packed_files_cut_short_are_refused(
    pack: Callable[[bytes], bytes], keep: float, tmp_path: Path
) -> None:
    data = pack(as_lines([run(sample) for sample in range(300)]))
    (tmp_path / "a.jsonl").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InvalidInput, match=r"a\.jsonl:\d+: here the packed data end too early"):
        read_trajectories(tmp_path)
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 0xFF
    (tmp_path / "a.jsonl").write_bytes(damaged)
    with pytest.raises(InvalidInput, match=r"a\.jsonl:\d+: "):
        read_trajectories(tmp_path)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard])
def test_a_line_without_end_is_refused(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    limits = ReadingLimits(line_mib=1)
    (tmp_path / "a.jsonl").write_bytes(pack(as_lines(RUNS) + b'{"a":"' + b"0" * (1 << 26)))
    told = r"a\.jsonl:4: a line of more than 1 MiB, the limit line_mib: raise it .*--allow line_mib"
    with pytest.raises(InvalidInput, match=told):
        read_trajectories(tmp_path, limits=limits)


def test_a_run_read_twice_counts_once(tmp_path: Path) -> None:
    """A copy, and a journal beside the lines made from it."""
    (tmp_path / "runs.jsonl").write_bytes(as_lines(RUNS))
    shutil.copy(tmp_path / "runs.jsonl", tmp_path / "runs (1).jsonl")
    (tmp_path / "runs.journal").write_bytes(as_journal(RUNS) * 2)
    with pytest.warns(RepeatedTrajectories, match=r"^9 trajectories are twice and once counted"):
        assert read_trajectories(tmp_path) == RUNS
    reading = read_files(tmp_path)
    assert (reading.num_repeated, sum(reading.files.values())) == (9, 3)
    assert reading.repeated == (
        f"{tmp_path}/runs.journal: byte 0", f"{tmp_path}/runs (1).jsonl:1"
    )  # fmt: skip


def test_failed_attempts_do_not_come_back_where_the_last_was_read_elsewhere(tmp_path: Path) -> None:
    failed = replace(run(0), status="error", total_return=0.0)
    attempts = [failed, run(1), run(0, attempt=1)]
    (tmp_path / "b.journal").write_bytes(as_journal(attempts))
    assert read_trajectories(tmp_path) == [run(0, attempt=1), run(1)]
    (tmp_path / "a.jsonl").write_bytes(as_lines([run(0, attempt=1), run(1)]))
    with pytest.warns(RepeatedTrajectories, match=r"^2 trajectories are twice"):
        assert read_trajectories(tmp_path) == [run(0, attempt=1), run(1)]


def test_one_key_with_two_contents_counts_twice_and_is_said(tmp_path: Path) -> None:
    """A server asked again answers otherwise, and test episodes do not say which model played."""
    (tmp_path / "a.jsonl").write_bytes(as_lines(RUNS))
    other = [run(1, total=0.0), run(1, total=0.5)]
    (tmp_path / "b.jsonl").write_bytes(as_lines([run(4), *other]))
    (tmp_path / "c.journal").write_bytes(as_journal([run(0, total=0.5), run(1, total=0.0)]))
    told = (
        r"^3 trajectories have the task, seed, sample and attempt of an earlier one, and other "
        r"contents: all count.* \(.*b\.jsonl:2, and before it .*a\.jsonl:2\)$"
    )
    with pytest.warns(RepeatedTrajectories) as warned:
        assert read_trajectories(tmp_path) == [*RUNS, run(4), *other, run(0, total=0.5)]
    assert [bool(re.match(told, str(w.message))) for w in warned] == [False, True]


def test_one_key_with_two_contents_in_a_journal_is_refused_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(as_lines([run(1, total=0.5)]))
    (tmp_path / "b.journal").write_bytes(as_journal([run(1), run(1, total=0.0)]))
    told = (
        r"b\.journal: byte \d+: another trajectory than that of .*b\.journal: byte 0 has its task "
        "'task', seed 0, sample 1, attempt 0, which a journal has once"
    )
    with pytest.raises(InvalidInput, match=told):
        read_trajectories(tmp_path)


def test_every_stage_of_a_run_is_read(tmp_path: Path) -> None:
    """Of training there are no trajectories, and the advice is to read one of the others."""
    for stage, name in [("sft_weak", "losses.jsonl"), ("explore", "trajectories.jsonl")]:
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "manifest.json").write_text("{}")
        content = b'{"step":1,"loss":0.5}\n' if name == "losses.jsonl" else as_lines(RUNS)
        (tmp_path / stage / name).write_bytes(content)
    with pytest.raises(FileNotFoundError, match=r"read one of its folders: explore$"):
        read_trajectories(tmp_path)
    assert read_trajectories(tmp_path, recursive=True) == RUNS
    (tmp_path / "wins.jsonl").write_bytes(as_lines(RUNS[:1]))
    (tmp_path / "losses.jsonl").write_bytes(as_lines([run(9)]))
    with pytest.warns(FilesPassedOver):
        assert read_trajectories(tmp_path) == [run(9), RUNS[0]], "the user's own by that name"


def test_other_seeds_players_and_attempts_are_other_runs(tmp_path: Path) -> None:
    other = replace(run(1, total=0.0), origin=replace(run(1).origin, policy="expert"))
    several = [run(1), run(1, seed=1, total=0.0), run(1, attempt=1, total=0.5), other]
    (tmp_path / "a.jsonl").write_bytes(as_lines(several))
    assert read_trajectories(tmp_path) == several


def test_a_damaged_journal_is_read_where_it_is(tmp_path: Path) -> None:
    """One that 0.1.0 wrote, ids that are texts among its frames, in a run that cannot go on."""
    bad = RUNS[0].to_json().replace('"response"', '"token_ids":["a"],"response"', 1)
    frames = [as_journal(RUNS[:1]), encode_frame(bad.encode()), b"w2s1 x\n", as_journal(RUNS[1:])]
    data = b"".join(frames) + as_journal(RUNS)[:40]
    (tmp_path / "episodes.journal").write_bytes(data)
    with pytest.raises(JournalError, match=r"token_ids\[0\] is 'a'.* tree --salvage"):
        read_trajectories(tmp_path)
    told = r"went on without 2 damaged places: .*byte \d+: .*token_ids\[0\] is 'a'.*; .* 7 bytes"
    with pytest.warns(FilesPassedOver, match=told):
        assert read_trajectories(tmp_path, salvage=True) == RUNS
    assert (tmp_path / "episodes.journal").read_bytes() == data
    assert len(read_files(tmp_path, salvage=True).damage) == 2


def test_journals_put_together_keep_both_seeds(tmp_path: Path) -> None:
    both = [*RUNS, *(run(sample, seed=1) for sample in range(3))]
    (tmp_path / "both.journal").write_bytes(as_journal(both))
    assert read_trajectories(tmp_path) == both


@pytest.mark.parametrize("seed_of", [None, 0])
def test_equal_runs_that_nothing_numbers_all_count(seed_of: int | None, tmp_path: Path) -> None:
    unnumbered = [replace(episode("ab", 1.0), origin=Origin(seed=seed_of)) for _ in range(2)]
    (tmp_path / "a.jsonl").write_bytes(as_lines(unnumbered))
    told = r"^1 trajectory is equal to an earlier one .* all count \(.*a\.jsonl:2 equals .*:1\)$"
    with pytest.warns(RepeatedTrajectories, match=told):
        assert read_trajectories(tmp_path) == unnumbered
    (tmp_path / "a.jsonl").rename(tmp_path / "a.txt")
    (tmp_path / "b.journal").write_bytes(as_journal(unnumbered))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_trajectories(tmp_path) == unnumbered, "frames without a sample all count"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (json.dumps(json.loads(RUNS[0].to_json()), indent=2) + "\n", r"a\.jsonl:1: one JSON object "
         r"spread over \d+ lines; expected one a line, as jq -c \. FILE"),
        (json.dumps([json.loads(RUNS[0].to_json())]), r"a\.jsonl:1: no JSON-lines file .* jq -c "),
        (as_lines(RUNS).decode().replace("\n", "\r"), r"a\.jsonl:1: .* lone carriage return"),
        (as_journal(RUNS).decode(), r"a\.jsonl:1: no JSON-lines .*\(a journal is named \.journal"),
        (RUNS[0].to_json() + "\n" + "\0" * 40, r"a\.jsonl:2: not valid JSON \(column 1: NUL"),
        (RUNS[0].to_json() + "\n{'task_id': 't'", r"a\.jsonl:2: not valid JSON \(column 2: "),
        (RUNS[0].to_json() + "\n" + RUNS[1].to_json()[:50] + "\0\0", "2: torn.*delete this line$"),
        (as_lines(RUNS).decode().replace("{", '{"task_id":"b",', 1), "'task_id' is given twice"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_with_a_file(content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content.encode())
    with pytest.raises(InvalidInput, match=told) as caught:
        read_trajectories(tmp_path)
    assert ("delete" in str(caught.value)) == ("delete" in told)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(as_lines(RUNS).decode().encode(encoding))
    with pytest.raises(InvalidInput, match=rf"a\.jsonl:1: this is {encoding[:6].upper()}: convert"):
        read_trajectories(tmp_path)


def test_a_cut_record_is_told_from_a_wrong_one() -> None:
    whole = '{"a\\u00e9\\n":[true,false,null,-1.5e-10,12,0.25,"x"],"b":{},"c":"é🪙"}'.encode()
    assert all(is_cut(whole[:size]) for size in range(1, len(whole)))
    assert not is_cut(whole)
    for wrong in ("{'a': 1}", '{"a" abc', '{"a":b', '{"a":1,}', '{"a":1}}', "and", '{"a":"\\q'):
        assert not is_cut(wrong.encode()), wrong


@given(
    st.lists(st.sampled_from([b"{", b'"a"', b":", b"1", b"\n", b"\r", b"w2s1 ", b"\xff", b"\0"]))
)
def test_any_bytes_are_read_or_refused_by_file_and_place(pieces: list[bytes]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        for name in ("a.jsonl", "a.journal"):
            (Path(folder) / name).write_bytes(b"".join(pieces))
            try:
                assert read_trajectories(Path(folder) / name) == []
            except (InvalidInput, JournalError) as error:
                assert str(error).startswith(f"{folder}/{name}:")


def test_a_written_folder_reads_without_a_word(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "a.jsonl", RUNS)
    assert read_files(tmp_path).passed_over == ()


def test_what_is_no_trajectory_is_not_written(tmp_path: Path) -> None:
    wrong: Any = [RUNS[0], {"task_id": "t"}]
    with pytest.raises(TypeError, match=r"trajectories\[1\] is dict; expected Trajectory"):
        write_trajectories(tmp_path / "a.jsonl", wrong)
    assert not (tmp_path / "a.jsonl").exists()
