"""Whole files or none: whatever goes wrong, the old file stays and nothing lies beside it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from w2stree.errors import InvalidInput
from w2stree.trajectories.replacing import leftovers, replacing


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "t.txt"
    path.write_text("old")
    return path


def assert_untouched(target: Path) -> None:
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_text_and_bytes(tmp_path: Path) -> None:
    with replacing(tmp_path / "t.txt") as text:
        text.write("ü\n")
    with replacing(tmp_path / "b.bin", "wb") as binary:
        binary.write(b"\xff")
    assert (tmp_path / "t.txt").read_bytes() == b"\xc3\xbc\n"
    assert (tmp_path / "b.bin").read_bytes() == b"\xff"
    assert {path.name for path in tmp_path.iterdir()} == {"t.txt", "b.bin"}


def test_it_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "t.txt"):
        pass
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o666, 0o444])
def test_the_permissions_of_the_file_that_is_replaced_stay(target: Path, mode: int) -> None:
    """Also those that the umask takes from new files, and from the first byte on."""
    target.chmod(mode)
    with replacing(target) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
        file.write("new")
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("new", mode)


def test_a_pipe_is_refused_and_stays(tmp_path: Path) -> None:
    """Nobody puts a file in its place, or in that of a link to it."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        refusal = pytest.raises(InvalidInput, match=rf"/{path.name}: a pipe, socket or device")
        with refusal, replacing(path) as file:
            file.write("new")
    assert pipe.is_fifo() and link.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "link"}


def test_a_stream_s_link_is_refused_whatever_is_behind_it(target: Path) -> None:
    """As /dev/stdout, where the shell has sent it to a file."""
    with target.open("a") as stream:
        link = target.with_name("stdout")
        link.symlink_to(f"/proc/self/fd/{stream.fileno()}")
        with (
            pytest.raises(InvalidInput, match="/stdout: a pipe, socket or device"),
            replacing(link),
        ):
            pass
        assert link.is_symlink()
        link.unlink()
    assert_untouched(target)


def test_the_old_file_stays_until_the_new_one_is_whole(target: Path) -> None:
    with replacing(target) as file:
        file.write("new")
        file.flush()
        assert target.read_text() == "old"
        (partial,) = (path for path in target.parent.iterdir() if path != target)
        assert partial.name.startswith(".t.txt.") and partial.name.endswith(".partial")
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_old_file(target: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), replacing(target) as file:
        file.write("half of the n")
        raise error
    assert_untouched(target)


@contextmanager
def small_disk() -> Iterator[None]:
    """No file of this process grows beyond 4 KiB. Not a fixture: the test runner's own output may
    be a file, and it writes between a test and the end of its fixtures."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("size", [5_000, 500_000], ids=["when flushed", "when written"])
def test_a_full_disk_leaves_the_old_file_and_names_it(target: Path, size: int) -> None:
    with (
        pytest.raises(OSError, match=r"t\.txt'$") as caught,
        small_disk(),
        replacing(target) as file,
    ):
        file.write("x" * size)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(target)
    assert_untouched(target)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=r"Input/output error: '.*/t\.txt'$"), replacing(target):
        pass
    monkeypatch.undo()
    assert_untouched(target)


def test_what_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for name, error in (
        ("absent/t.txt", FileNotFoundError),
        ("file/t.txt", NotADirectoryError),
        ("folder", IsADirectoryError),
    ):
        with pytest.raises(error, match=rf"/{name}'$"), replacing(tmp_path / name):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


def test_another_file_s_error_keeps_its_name(target: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.here'$"), replacing(target):
        (target.parent / "nothing.here").read_text()
    assert_untouched(target)


def test_file_and_folder_are_synced(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def replaced(source: Path, destination: Path) -> None:
        done.append("rename")
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    with replacing(target) as file:
        file.write("new")
    assert done == ["file", "rename", "folder"]


def test_two_writers_at_once_do_not_mix(target: Path) -> None:
    with replacing(target) as first, replacing(target) as second:
        for _ in range(1000):
            first.write("first ")
            second.write("second ")
    assert target.read_text() == "first " * 1000, "whoever ends last"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_threads_at_once_leave_one_of_their_files(target: Path) -> None:
    def write(number: int) -> None:
        with replacing(target) as file:
            for _ in range(200):
                file.write(f"{number}\n")
                file.flush()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(40)))
    lines = target.read_text().splitlines()
    assert len(lines) == 200 and len(set(lines)) == 1
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_killed_writer_leaves_the_old_file(target: Path) -> None:
    script = (
        "import os, sys; from w2stree.trajectories.replacing import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write('half'); file.flush(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(target)])
    assert ended.returncode == -9
    assert target.read_text() == "old"
    with replacing(target) as file:
        file.write("new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("name", ["t.txt", "ü" * 127], ids=["short", "as long as can be"])
def test_what_a_killed_writer_left_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / f".{name[:100]}.txt.partial").write_text("somebody's")
    (tmp_path / f".{name[:100]}.0123456789abcdef.old").write_text("somebody's")
    with replacing(tmp_path / name) as file:
        (partial,) = leftovers(tmp_path / name)
        assert partial == Path(file.name)
    assert leftovers(tmp_path / name) == []
