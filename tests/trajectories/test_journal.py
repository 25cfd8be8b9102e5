"""The journal: what is acknowledged stays, what is damaged is named, one writer at a time."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.faults import damage, disk
from w2stree.errors import InvalidInput, JournalError
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.frames import encode_frame
from w2stree.trajectories.journal import Contents, Journal, read_journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Status, Step, Trajectory


def episode(
    task_id: str = "t", sample: int = 0, *, attempt: int = 0, status: Status = "done"
) -> Trajectory:
    return Trajectory(
        task_id,
        (Message("user", "Cook.\nEin Kürbis\u2028"),),
        (Step("take knife", "Taken.", "Action: take knife", (1, 2), (-0.5, -1.0), 0.25),),
        0.0 if status == "error" else 0.25,
        status,
        Origin(sample_index=sample, attempt=attempt),
    )


def record(path: Path, episodes: Sequence[Trajectory]) -> Path:
    with Journal(path) as journal:
        for trajectory in episodes:
            journal.append(trajectory)
    return path


EPISODES = [episode(task, sample) for task in ("t", "u") for sample in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(tmp_path / "episodes.journal", EPISODES)


def test_what_is_committed_is_read_back(path: Path) -> None:
    assert read_journal(path) == Contents(tuple(EPISODES))
    assert read_trajectories(path) == EPISODES
    with Journal(path) as journal:
        assert list(journal.episodes()) == EPISODES
        assert ("u", 2, 0) in journal.keys
    assert [p.name for p in path.parent.iterdir()] == ["episodes.journal"]


def test_the_file_is_the_documented_text(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(EPISODES)
    magic, length, _, payload = lines[0].split(b" ", 3)
    assert (magic, int(length)) == (b"w2s1", len(payload))
    assert payload.decode() == EPISODES[0].to_json()
    assert encode_frame(b"123456789") == b"w2s1 0000000009 cbf43926 123456789\n"  # CRC-32's check


def test_nothing_is_written_before_commit_and_close_commits(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.journal")
    journal.append(EPISODES[0])
    assert read_journal(journal.path).trajectories == ()
    journal.commit()
    journal.append(EPISODES[1])
    journal.close()
    journal.close()
    assert read_journal(journal.path).trajectories == tuple(EPISODES[:2])


def test_a_key_is_taken_once_also_by_an_earlier_session(path: Path) -> None:
    with Journal(path) as journal:
        with pytest.raises(JournalError, match="task 'u', sample 1, attempt 0 is recorded"):
            journal.append(episode("u", 1))
        journal.append(episode("u", 1, attempt=1))
        with pytest.raises(JournalError, match="attempt 1 is recorded already"):
            journal.append(episode("u", 1, attempt=1))
    assert len(read_journal(path).trajectories) == len(EPISODES) + 1


def test_an_episode_without_its_key_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.journal") as journal, pytest.raises(InvalidInput, match="sample_i"):
        journal.append(Trajectory("t", (), (), 0.0, "done"))


def test_each_sample_counts_once(tmp_path: Path) -> None:
    """The last attempt without error counts; errors stay rows where there is none."""
    attempts = [
        episode("t", 0, attempt=0, status="error"),
        episode("t", 1, attempt=0, status="error"),
        episode("t", 0, attempt=1),
        episode("t", 1, attempt=1, status="error"),
        episode("u", 0),
    ]
    record(tmp_path / "a.journal", attempts)
    assert read_trajectories(tmp_path) == [attempts[2], attempts[3], attempts[4]]


def test_a_second_writer_is_told_who_the_first_is(path: Path) -> None:
    script = (
        "import sys; from w2stree.trajectories.journal import Journal\n"
        f"journal = Journal({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(JournalError, match=rf"written by process {writer.pid} on .+ since 2"):
            Journal(path)
        assert read_journal(path) == Contents(tuple(EPISODES))  # readers need no lock
        writer.kill()
        writer.wait()
        Journal(path).close()


def test_every_truncation_opens_with_the_whole_frames(tmp_path: Path) -> None:
    file = damage.write_sample(tmp_path / "j.journal", num_bytes=6_000)
    assert damage.truncations(file, last_bytes=6_000) == (6_000, 0)
    assert damage.reopened_truncations(file, every=101)[1] == 0


def test_a_torn_end_is_reported_and_cut_and_writing_goes_on(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with Journal(path) as journal:
        last_frame = len(whole) - whole.rindex(b"w2s1 ")
        assert journal.num_torn_bytes == last_frame - 10
        assert read_trajectories(path) == EPISODES[:-1]
        journal.append(EPISODES[-1])
    assert path.read_bytes() == whole


def test_zeros_after_a_power_cut_are_a_torn_end(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b"w2s1 00000" + bytes(5_000))
    with Journal(path) as journal:
        assert journal.num_torn_bytes == 5_010
    assert path.read_bytes() == whole


def test_every_flipped_bit_is_an_error_and_salvage_keeps_the_rest(tmp_path: Path) -> None:
    file = damage.write_sample(tmp_path / "j.journal", num_bytes=2_000)
    counts = damage.bit_flips(file, positions=range(0, 8 * file.stat().st_size, 7))
    assert counts.num_tried > 2_000
    assert counts.num_unnoticed == 0
    assert counts.num_intact_frames_lost == 0


def test_damage_names_the_place_and_salvage_sets_the_original_aside(path: Path) -> None:
    whole = path.read_bytes()
    frames = whole.splitlines(keepends=True)
    offset = len(frames[0] + frames[1])
    altered = bytearray(whole)
    altered[offset + 60] ^= 1
    path.write_bytes(altered)
    place = rf"episodes.journal: damaged at byte {offset}, frame 3 \({len(frames[2])} bytes.*--sal"
    for read in (Journal, read_journal, read_trajectories):
        with pytest.raises(JournalError, match=place):
            read(path)
    assert path.read_bytes() == altered
    kept = tuple(EPISODES[:2] + EPISODES[3:])
    assert read_journal(path, salvage=True) == Contents(kept, 0, 1, len(frames[2]))
    with Journal(path, salvage=True) as journal:
        assert journal.num_damaged == 1
        journal.append(EPISODES[2])
        with pytest.raises(JournalError, match="is being written"):
            Journal(path)
    assert read_journal(path).trajectories == (*kept, EPISODES[2])
    assert path.with_name("episodes.journal.damaged").read_bytes() == altered


def test_two_journals_in_one_file_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(JournalError, match="task 't', sample 0, attempt 0 is recorded twice"):
        Journal(path)


def test_a_frame_that_is_no_episode_is_named(path: Path) -> None:
    with path.open("ab") as file:
        file.write(encode_frame(b'{"task_id":"t"}'))
    with pytest.raises(InvalidInput, match=r"episodes.journal: byte \d+: "):
        Journal(path)


def test_a_full_disk_loses_nothing_acknowledged(tmp_path: Path) -> None:
    result = disk.fill_by_limit(tmp_path, limit=20_000)
    assert result.num_acknowledged > 3
    assert result.error.startswith(f"{tmp_path / 'full.journal'}: 1 episodes could not be written")
    assert result.num_lost == 0
    assert result.num_torn_bytes == 0
    assert result.refuses_more
    assert result.goes_on_after


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failing_disk_is_cut_back_to_what_was_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = path.read_bytes()
    real = os.write

    def fail(*arguments: object) -> int:
        if call == "write":
            real(arguments[0], bytes(arguments[1])[:20])  # type: ignore[call-overload]
        raise OSError(errno.EIO, "Input/output error")

    journal = Journal(path)
    journal.append(episode("v", 0))
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(JournalError, match=r"1 episodes could not be written \(Input"):
        journal.commit()
    monkeypatch.undo()
    assert path.read_bytes() == before
    with pytest.raises(JournalError, match="closed after a failed write"):
        journal.append(episode("v", 1))
    journal.close()
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"absent/j.journal: cannot be opened"):
        Journal(tmp_path / "absent" / "j.journal")


def test_links_laid_beside_a_journal_are_not_written_through(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("somebody's")
    path.with_name(f".{path.name}.owner").symlink_to(other)
    with Journal(path):
        assert not path.with_name(f".{path.name}.owner").is_symlink()
        with pytest.raises(JournalError, match=f"is being written by process {os.getpid()} on"):
            Journal(path)
    path.write_bytes(path.read_bytes().replace(b"knife", b"knive", 1))
    path.with_name(f".{path.name}.salvaged").symlink_to(other)
    with Journal(path, salvage=True) as journal:
        assert journal.num_damaged == 1
    assert other.read_text() == "somebody's"


def test_a_journal_behind_a_link_is_salvaged_where_it_is(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.journal"
    link.symlink_to(path.name)
    path.write_bytes(path.read_bytes().replace(b"knife", b"knive", 1))
    with Journal(link, salvage=True) as journal:
        assert journal.num_damaged == 1
        journal.append(EPISODES[0])
    assert link.is_symlink()
    assert len(read_journal(path).trajectories) == len(EPISODES)
    assert path.with_name(f"{path.name}.damaged").is_file()
