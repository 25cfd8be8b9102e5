"""A run killed at every operation on its files, interrupted at every line, entered by two at once.

Whatever the moment: a result that there was before stands whole under its name at the next start,
the old one or the new one, and the same command then comes to the same end.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import w2stree
from bench.faults.small_run import NAMES, SmallRun
from w2stree.errors import RunDirectoryError
from w2stree.experiment import hashes
from w2stree.experiment.manifest import read_manifest

_PACKAGE = str(Path(w2stree.__file__).parent)
_LINES_OF = tuple(f"{_PACKAGE}/{room}" for room in ("experiment/", "trajectories/replacing"))


_LATER = "spicy"
"""What is tasted by the run that is interrupted."""

Stopped = Callable[[SmallRun, tuple[str, ...], int], bool]


@dataclass(slots=True)
class InterruptCounts:
    """`num_lost`: a result was neither the old one nor the new one afterwards; `num_stuck`: the
    same command did not go on; `num_wrong`: it came to another end."""

    num_tried: int = 0
    num_lost: int = 0
    num_stuck: int = 0
    num_wrong: int = 0


def _new(folder: Path) -> SmallRun:
    small = SmallRun(folder / "run", folder / "outside")
    small.outside.mkdir(parents=True)
    (small.outside / "vocabulary").write_text("yes no")
    return small


def _redone(folder: Path) -> SmallRun:
    return SmallRun.make(folder)


def _linked(folder: Path) -> SmallRun:
    small = SmallRun.make(folder)
    disk = folder.with_name(f"{folder.name}, the disk")
    (small.path / "a").rename(disk)
    (small.path / "a").symlink_to(disk)
    return small


def _taking(folder: Path) -> SmallRun:
    """A new one, beside another that has what it wants."""
    small = _new(folder)
    SmallRun(folder / "runs" / "other", small.outside, taste=_LATER).go()
    return small


class _Scene:
    """A run that is prepared once, then interrupted again and again in what it does."""

    def __init__(self, folder: Path, prepare: Callable[[Path], SmallRun]) -> None:
        self.had_results = prepare not in (_new, _taking)
        self.force = ("a",) if self.had_results else ()
        self._prepared = folder / prepare.__name__
        self._at = folder / f"{prepare.__name__}, tried"
        prepare(self._prepared)

    def begin(self) -> SmallRun:
        """It as it was prepared, about to taste otherwise."""
        shutil.rmtree(self._at, ignore_errors=True)
        shutil.copytree(self._prepared, self._at, symlinks=True)
        runs = self._at / "runs"
        small = SmallRun(self._at / "run", self._at / "outside", taste=_LATER)
        small.runs = runs if runs.is_dir() else None
        return small


def _scenes(folder: Path) -> Iterator[_Scene]:
    folder.mkdir()
    for prepare in (_new, _redone, _linked, _taking):
        yield _Scene(folder, prepare)


def _at_every_moment(folder: Path, every: int, stopped: Stopped) -> InterruptCounts:
    """`stopped` says whether the run got as far as that moment: if not, there are no more."""
    counts = InterruptCounts()
    for scene in _scenes(folder):
        for moment in count(1, every):
            small = scene.begin()
            if not stopped(small, scene.force, moment):
                break
            _judge(small, scene, counts)
    return counts


def kill_at_every_operation(folder: Path, *, every: int = 1) -> InterruptCounts:
    """SIGKILL before every n-th operation on a file of the run, in a process of its own."""
    return _at_every_moment(folder, every, _killed)


def _killed(small: SmallRun, force: tuple[str, ...], moment: int) -> bool:
    child = os.fork()
    if child == 0:
        hashes.TICK_NS = -1  # what was seen is written down at once, so that is interrupted too
        _kill_before_operation(str(small.path), moment)
        small.go(force)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _kill_before_operation(below: str, moment: int) -> None:
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "open" or event.split(".")[0] in ("os", "shutil"):
            named = (os.fsdecode(a) for a in arguments if isinstance(a, str | bytes | os.PathLike))
            # Removing a tree works relative to an open folder: its names alone.
            if any(n.startswith(below) or "/" not in n for n in named):
                seen += 1
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def interrupt_at_every_line(folder: Path, *, every: int = 1) -> InterruptCounts:
    """KeyboardInterrupt at every n-th line that is run of what handles the directory."""
    return _at_every_moment(folder, every, _interrupted)


def _interrupted(small: SmallRun, force: tuple[str, ...], moment: int) -> bool:
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(_LINES_OF):
            return None
        if event == "line":
            seen += 1
            if seen == moment:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        small.go(force)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def _judge(small: SmallRun, scene: _Scene, counts: InterruptCounts) -> None:
    """The next start, and the end it comes to."""
    counts.num_tried += 1
    try:
        small.recover()
        counts.num_lost += scene.had_results and not all(small.is_whole(name) for name in NAMES)
        if scene.had_results and read_manifest(small.path / "a", "a") is not None:
            tastes = ("a plain", "a spicy")
            counts.num_lost += (small.path / "a" / "result.txt").read_text() not in tastes
        small.go(scene.force)
    except (RunDirectoryError, OSError):
        counts.num_stuck += 1
        return
    counts.num_wrong += not small.is_right()


# Two of these start at once; each says what became of it.
_ENTERS = """
import sys
from pathlib import Path
from bench.faults.small_run import SmallRun
from w2stree.errors import RunDirectoryError
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
small = SmallRun(folder / "run", folder / "outside", taste=f"of {seed}", config={"seed": seed})
sys.stdin.readline()
try:
    small.go()
    print("played")
except RunDirectoryError as error:
    words = ("in use by", "another configuration")
    print("refused" if any(w in str(error) for w in words) else error)
"""


@dataclass(slots=True)
class RaceCounts:
    """`num_mixed`: a configuration beside results that it did not make; `num_none`: nobody was
    let in; `num_other`: somebody ended otherwise."""

    num_tried: int = 0
    num_refused: int = 0
    num_mixed: int = 0
    num_none: int = 0
    num_other: int = 0


def race(folder: Path, *, num_rounds: int, num_processes: int = 2) -> RaceCounts:
    """Processes of different configurations enter a new run at once."""
    counts = RaceCounts()
    for number in range(num_rounds):
        small = _new(folder / str(number))
        said = list(_enter(small.path.parent, num_processes))
        counts.num_tried += 1
        counts.num_refused += said.count("refused")
        counts.num_none += "played" not in said
        counts.num_other += sum(word not in ("played", "refused") for word in said)
        counts.num_mixed += not _is_of_one(small)
    return counts


def _enter(folder: Path, num_processes: int) -> Iterator[str]:
    command = [sys.executable, "-c", _ENTERS, str(folder)]
    entering = [
        subprocess.Popen(
            [*command, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for seed in range(num_processes)
    ]
    for process in entering:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in entering:
        yield process.communicate()[0].strip()


def _is_of_one(small: SmallRun) -> bool:
    """Whether config.json, every manifest and every result are one process's."""
    seeds = {_seed(small.path / name / "manifest.json", "config") for name in NAMES}
    seed = _seed(small.path / "config.json")
    small.taste = f"of {seed}"
    return seeds == {seed} and small.is_right()


def _seed(file: Path, *keys: str) -> int:
    record = json.loads(file.read_text())
    for key in keys:
        record = record[key]
    return int(record["seed"])
