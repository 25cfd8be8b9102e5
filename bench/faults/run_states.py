"""A state of a run directory, what must come of it, and how one is brought about.

A state is refused, by name, with nothing changed; or the command goes on, and then every stage
holds what follows from what it reads.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.faults.small_run import SmallRun, snapshot
from w2stree.errors import RunDirectoryError

Do = Callable[[SmallRun], object]


@dataclass(frozen=True, slots=True)
class State:
    """`do` brings a finished run into it. Then the stages of `ran` run; or the command is refused
    with words that match `refused`, and after `mend`, with `force`, goes on as `ran` says.

    `keeps`: a folder elsewhere, of which nothing may be changed.
    """

    do: Do
    ran: str = ""
    refused: str = ""
    mend: Do | None = None
    force: Sequence[str] = ()
    keeps: str = ""


def try_state(folder: Path, state: State) -> str:
    """What is wrong of the rule; nothing where it holds."""
    run = SmallRun.make(folder)
    state.do(run)
    elsewhere = folder / state.keeps if state.keeps else folder / "nothing"
    kept = snapshot(elsewhere)
    if state.refused:
        before = run.contents()
        try:
            run.go()
            return "was not refused"
        except RunDirectoryError as error:
            said = str(error)
        if not re.search(state.refused, said, re.DOTALL):
            return f"said: {said}"
        if re.search(rf"delete {re.escape(str(run.path))}( |$)", said):
            return f"advised to delete the run: {said}"
        if run.contents() != before:
            return "was refused, and changed something"
        if state.mend is not None:
            state.mend(run)
        elif not state.force:
            return ""
    ran = run.go(state.force)
    if ran != state.ran:
        return f"ran {ran!r} instead of {state.ran!r}"
    if not run.is_right():
        return "left a wrong result"
    if snapshot(elsewhere) != kept:
        return "changed what lies outside the run"
    return "" if run.go() == "" else "was redone once more"


def bytes_in(name: str, content: bytes) -> Do:
    return lambda run: (run.path / name).write_bytes(content)


def lost(*names: str) -> Do:
    def do(run: SmallRun) -> None:
        for name in names:
            path = run.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return do


def replaced(name: str, make: Callable[[Path], object]) -> Do:
    def do(run: SmallRun) -> None:
        path = run.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return do


def renamed(name: str, to: str) -> Do:
    return lambda run: (run.path / name).rename(run.path / to)


def copy_of(name: str, to: str) -> Do:
    return lambda run: shutil.copytree(run.path / name, run.path / to)


def edited(name: str, text: str, *, keeps_time: bool = False) -> Do:
    def do(run: SmallRun) -> None:
        path = run.path / name
        before = path.stat()
        path.write_text(text)
        if keeps_time:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return do
