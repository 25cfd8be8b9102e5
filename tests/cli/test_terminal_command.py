"""`w2stree view --terminal`: what is refused, and what a real terminal is sent."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.looked_at import write_log
from support.terminal_reader import hostile

import w2stree as w2s
from w2stree.cli.app import main


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_log(tmp_path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_without_a_terminal_the_cure_is_named(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "view", log.name, "--terminal")
    assert "--terminal needs a terminal, and standard input is none" in said
    assert "w2stree tree log.jsonl prints the trees instead" in said


@pytest.mark.parametrize(
    "option", ["--output=x.html", "--rows=r.jsonl", "--recombined=p", "--open"]
)
def test_what_is_of_files_alone_is_refused(
    option: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "view", log.name, "--terminal", option)
    assert f"leave out {option.partition('=')[0]}" in said


def test_without_textual_the_error_names_the_extra(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "textual", None)
    assert "pip install 'w2stree[terminal]'" in told(capsys, "view", log.name, "--terminal")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal of 100 columns and 30 lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    yield ours, theirs
    os.close(ours)


def read_until(ours: int, wanted: bytes, read: bytes = b"") -> bytes:
    """What comes from the terminal, until that does; two minutes guard against hanging."""
    end = time.monotonic() + 120
    while wanted not in read and time.monotonic() < end:
        if select.select([ours], [], [], 1)[0]:
            try:
                read += os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
    assert wanted in read, read[-2000:]
    return read


def test_in_a_terminal_nothing_of_a_text_is_sent_as_it_is(
    tmp_path: Path, terminal: tuple[int, int]
) -> None:
    w2s.write_trajectories(tmp_path / "evil.jsonl", hostile())
    ours, theirs = terminal
    process = subprocess.Popen(
        [sys.executable, "-m", "w2stree", "view", "evil.jsonl", "--terminal", "--node", "1"],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    read = read_until(ours, b"Answer")  # below what was done and said
    assert rb"\x1b[2J\x1b]0;owned" in read
    os.write(ours, b"q")
    read = read_until(ours, b"2 runs read = 2 used + 0 skipped", read)
    assert process.wait(120) == 0
    for obeyed in (b"\x1b]0;owned", b"\x1b[2J\x1b]", "\u202e".encode(), "\u200b".encode()):
        assert obeyed not in read
