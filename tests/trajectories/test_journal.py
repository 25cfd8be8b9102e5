"""The journal: what is acknowledged stays, what is damaged is named, one writer at a time."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.journals import EPISODES, episode, record

from bench.faults import damage
from w2stree.errors import InvalidInput, JournalError
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.frames import Damage, Frame, encode_frame, scan
from w2stree.trajectories.journal import Contents, Journal, read_journal
from w2stree.trajectories.trajectory import Trajectory


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
    path.chmod(0o600)
    with Journal(path, salvage=True) as journal:
        assert path.stat().st_mode & 0o777 == 0o600
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


# As 0.1.0 wrote what a server answered: the checksum holds, no trajectory can be read from it.
UNREADABLE = [
    (
        b'{"task_id":"t","prompt":[],"steps":[{"action":"a","observation":"o","token_ids":["a","b"]}'
        b'],"total_return":1.0,"status":"done","info":{"sample_index":0}}',
        r"byte \d+: steps\[0\]: token_ids\[0\] is 'a'; expected an integer",
    ),
    (
        b'{"task_id":"t","prompt":[],"steps":[],"total_return":1.0,"status":"done",'
        b'"info":{"sample_index":[]}}',
        r"byte \d+: info \(of a record without `origin`\): origin: sample_index is \[\]; expected",
    ),
    (b'{"task_id":"t"}', r"byte \d+: prompt is NoneType; expected an array"),
    (b"\xff\xfe", r"byte \d+: .*UTF-"),
    (
        EPISODES[0].to_json().encode(),
        "task 't', sample 0, attempt 0 is recorded twice; was the file",
    ),
    (
        b'{"task_id":"t","prompt":[],"steps":[],"total_return":1.0,"status":"done"}',
        "t: the origin has no sample_index; explored episodes need one",
    ),
]


def test_frames_that_are_no_episodes_are_named_and_salvage_goes_on_without_them(path: Path) -> None:
    whole = path.read_bytes()
    for payload, told in UNREADABLE:
        frame = encode_frame(payload)
        first = whole.splitlines(keepends=True)[0]
        # In the middle: what stands behind it is as good as before.
        path.write_bytes(first + frame + whole.removeprefix(first))
        with pytest.raises(JournalError, match=rf"episodes.journal: .*{told}.*--salvage"):
            Journal(path)
        with Journal(path, salvage=True) as journal:
            (damage,) = journal.damage
            assert (damage.offset, damage.size) == (len(first), len(frame))
            assert re.search(told.removeprefix(r"byte \d+: "), damage.reason)
        assert path.read_bytes() == whole
    originals = list(path.parent.glob("episodes.journal.damaged*"))
    assert len(originals) == len(UNREADABLE), "each original is kept"


def test_readers_name_such_a_frame_and_the_way_on(path: Path) -> None:
    with path.open("ab") as file:
        file.write(encode_frame(UNREADABLE[0][0]))
    for read in (read_journal, read_trajectories):
        with pytest.raises(JournalError, match=r"token_ids\[0\] is 'a'.*w2stree explore --salvage"):
            read(path)
    contents = read_journal(path, salvage=True)
    assert (contents.trajectories, contents.num_damaged) == (tuple(EPISODES), 1)


def test_what_would_not_be_read_back_is_not_appended(tmp_path: Path) -> None:
    written_into = replace(episode("u"), info={"note": 1})
    written_into.info["note"] = (1, 2)  # type: ignore[index]
    with Journal(tmp_path / "j.journal") as journal:
        with pytest.raises(InvalidInput, match=r"task 'u', sample 0, .* info was written into"):
            journal.append(written_into)
        journal.append(episode("u"))  # its key is not taken by what was refused
    assert read_journal(journal.path).trajectories == (episode("u"),)


def test_a_key_is_recorded_once_it_is_on_the_disk(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.journal") as journal:
        journal.append(episode("u"))
        assert journal.keys == set()
        with pytest.raises(JournalError, match="is recorded already"):
            journal.append(episode("u"))
        journal.commit()
        assert journal.keys == {("u", 0, 0)}


def test_a_closed_journal_takes_no_more(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    for write in (lambda: journal.append(episode("v")), journal.commit):
        with pytest.raises(JournalError, match="the journal is closed; open it again to write"):
            write()
    assert read_journal(path).trajectories == tuple(EPISODES)


def test_a_pipe_is_no_journal(tmp_path: Path) -> None:
    """Nobody waits for a writer that never comes."""
    pipe = tmp_path / "p.journal"
    os.mkfifo(pipe)
    for read in (Journal, read_journal):
        with pytest.raises(JournalError, match=r"p\.journal is no regular file"):
            read(pipe)


def test_who_writes_is_read_from_a_small_file_alone(path: Path) -> None:
    """What somebody else laid there, a pipe or control sequences, is neither waited for nor
    obeyed."""
    owner = path.with_name(f".{path.name}.owner")
    with Journal(path):
        for lay in (
            lambda: os.mkfifo(owner),
            lambda: owner.symlink_to("/dev/zero"),
            lambda: owner.write_text("[" * 100_000),
            lambda: owner.write_text('{"pid": 3}'),
        ):
            owner.unlink()
            lay()
            with pytest.raises(JournalError, match="written by another process"):
                Journal(path)
        owner.write_text(json.dumps({"pid": "\x1b[2J", "host": "h", "since": "now"}))
        with pytest.raises(JournalError, match=r"written by process \\x1b\[2J on h since now"):
            Journal(path)


def test_a_line_of_forged_heads_is_scanned_in_linear_time() -> None:
    """Each head's length fits the line, so that each would be summed up to its end."""
    num_heads, size = 40_000, len(b"w2s1 0000000000 00000000 ")
    ends = range(num_heads - 1, -1, -1)
    line = b"".join(b"w2s1 %010d 00000000 " % (size * after + 4) for after in ends) + b"{ }x\n"
    began = time.process_time()
    assert list(scan(io.BytesIO(b"x" + line))) == [Damage(0, len(line) + 1)]
    assert time.process_time() - began < 2.0, "of five seconds' work: it is 0.1"
    lost_line_break = b"half a frame" + encode_frame(b'{"text":"w2s1 0000000001 00000000 x"}')
    assert [type(piece) for piece in scan(io.BytesIO(lost_line_break))] == [Damage, Frame]
