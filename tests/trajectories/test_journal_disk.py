"""The journal on disks that are full or fail, behind links, in folders that are not there."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support.journals import EPISODES, episode, record

from bench.faults import disk
from w2stree.errors import JournalError
from w2stree.trajectories.journal import Journal, read_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(tmp_path / "episodes.journal", EPISODES)


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


def test_salvaging_on_a_full_disk_leaves_all_as_it_was(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"knife", b"knive", 1))
    data, before = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(data) // 2, before[1]))
    try:
        with pytest.raises(JournalError, match="cannot be opened"):
            Journal(path, salvage=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == data


def test_files_are_made_with_the_users_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with Journal(tmp_path / "j.journal") as journal:
            journal.append(EPISODES[0])
            journal.commit()
            modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"j.journal": 0o640, ".j.journal.owner": 0o640}


def test_nothing_is_left_of_one_killed_as_it_wrote_who_it_is(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys; from w2stree.trajectories.journal import Journal\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "Journal(sys.argv[1])"
    )
    path = tmp_path / "j.journal"
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    with Journal(path):
        assert {p.name for p in tmp_path.iterdir()} == {"j.journal", ".j.journal.owner"}
    assert list(tmp_path.iterdir()) == [path]
