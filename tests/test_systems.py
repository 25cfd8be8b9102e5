"""A system like Windows: no `fcntl`, no `resource`, no forks, fewer signals.

What only reads, or writes whole files, works there; what needs locks or process groups is refused
for that reason, before anything is made.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import w2stree as w2s
from w2stree.errors import not_imported
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin

# Parts of Python that Windows' has not, taken away once the standard library has what it uses.
LIKE_WINDOWS = """
import asyncio, multiprocessing, os, select, signal, socket, subprocess, sys, tempfile, threading
sys.modules.update(fcntl=None, resource=None, termios=None, pty=None, pwd=None, grp=None)
for name in (
    "register_at_fork fork killpg getpgid getpgrp setsid mkfifo sysconf sched_getaffinity "
    "O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_DIRECTORY"
).split():
    delattr(os, name)
for name in "SIGHUP SIGPIPE SIGCHLD SIGXFSZ SIGALRM setitimer pthread_sigmask".split():
    delattr(signal, name)
del select.poll
"""

COMMANDS = """
import contextlib, io, json
from w2stree.cli.app import main
told = {}
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(command)
    told[" ".join(command)] = [status, out.getvalue(), err.getvalue()]
print(json.dumps(told))
"""  # noqa: E501

WORKS = (
    ["--version"], ["envs"], ["tree", "runs.jsonl"], ["tasks", "runs.jsonl"],
    ["show", "runs.jsonl:1"], ["stats", "runs.jsonl"], ["diff", "runs.jsonl:1", "runs.jsonl:2"],
    ["pairs", "runs.jsonl", "-o", "rows.jsonl"], ["paths", "runs.jsonl", "-o", "paths.jsonl"],
    ["convert", "runs.jsonl", "-o", "again.jsonl"], ["lint", "runs.jsonl"],
    ["tree", "episodes.journal"], ["view", "runs.jsonl", "-o", "view.html"],
    ["bisect", "runs.jsonl"], ["doctor", "runs.jsonl"],
    ["advantages", "runs.jsonl", "-o", "turns.jsonl"],
    ["export", "speedscope", "runs.jsonl", "-o", "stacks.json"],
)  # fmt: skip
REFUSED = {
    "run quickstart": "w2stree run needs the file locks",
    "experiment claims": "w2stree experiment needs the file locks",
    "explore textworld_random": "w2stree explore needs the file locks",
    "train sft runs.jsonl --model start --output model": "w2stree train sft needs the file locks",
    "train dpo rows.jsonl --model start --output model": "w2stree train dpo needs the file locks",
    "store add all runs.jsonl --unread": "all: writing to a store needs the file locks",
    "envs check textworld_express": "a process of its own, for an environment or a training,",
}


def on_windows(code: str, cwd: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", LIKE_WINDOWS + code, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs = [run("ab", 1.0, 0), run("ac", 0.0, 1), run("ad", 0.3, 2)]
    w2s.write_trajectories(tmp_path / "runs.jsonl", runs)
    with Journal(tmp_path / "episodes.journal") as journal:
        for one in runs:
            journal.append(one)
    return tmp_path


def run(actions: str, total_return: float, sample: int) -> w2s.Trajectory:
    steps = tuple(w2s.Step(action, f"after {action}", response=action) for action in actions)
    return w2s.Trajectory(
        "task",
        (w2s.Message("user", "go"),),
        steps,
        total_return,
        "done",
        origin=Origin(sample_index=sample),
    )


def told(folder: Path, commands: list[list[str]]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(on_windows(COMMANDS, folder, json.dumps(commands)))
    return result


def test_what_reads_and_what_writes_whole_files_works(folder: Path) -> None:
    for command, (status, out, err) in told(folder, list(WORKS)).items():
        assert status in (0, 1) and "Traceback" not in err, (command, status, err)
        may_find = command.startswith(("lint", "diff", "doctor"))
        assert status == 0 or may_find, (command, status, out, err)
    assert w2s.read_trajectories(folder / "again.jsonl")
    assert (folder / "rows.jsonl").read_text(encoding="utf-8").count("\n") == 3


def test_what_needs_locks_or_process_groups_is_refused_for_that(folder: Path) -> None:
    before = sorted(folder.iterdir())
    for command, (status, out, err) in told(folder, [c.split() for c in REFUSED]).items():
        assert (status, out) == (2, ""), (command, status, out, err)
        assert err.startswith(f"w2stree: {REFUSED[command]}"), err
        assert "does not have; on Windows, run it in WSL" in err
        assert "pip install" not in err
    assert sorted(folder.iterdir()) == before, "nothing was made"


def test_python_refuses_with_the_same_reason(folder: Path) -> None:
    code = """
import w2stree as w2s
from w2stree.trajectories.journal import Journal
from w2stree.training.model_folder import refuse_filled
from pathlib import Path
for make in (
    lambda: w2s.EnvironmentPool(dict, 1)[0], lambda: Journal("new.journal"),
    lambda: refuse_filled(Path("model")),
):
    try:
        make()
    except w2s.Error as error:
        print(type(error).__name__, error)
"""
    lines = on_windows(code, folder).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["UnsupportedSystem"] * 3, lines
    assert "new.journal: writing a journal needs the file locks" in lines[1]
    assert not (folder / "new.journal").exists()


def test_an_absent_part_of_python_is_nothing_to_install(tmp_path: Path) -> None:
    code = """
import sys; sys.modules["_bz2"] = None; sys.modules.pop("bz2", None)
import w2stree as w2s
from w2stree.cli.extra import needs
try:
    with needs("all"):
        import bz2
except w2s.Error as error:
    print(error)
"""
    assert on_windows(code, tmp_path).startswith("_bz2, a part of Python, is not in this one")


def test_a_package_that_does_not_load_is_not_called_absent() -> None:
    error = ModuleNotFoundError("Could not import module 'LlamaConfig'.")
    error.__cause__ = AttributeError("module 'os' has no attribute 'fork'")
    assert str(not_imported(error, "all")) == (
        "a package does not load: Could not import module 'LlamaConfig'. (module 'os' has no "
        "attribute 'fork'); try pip install 'w2stree[all]' --upgrade"
    )
