"""How every command takes runs, and the line that says what became of all of them.

w2stree COMMAND runs/ 'more/*.jsonl' -
                └──────────┬─────────┘
                       read_runs ──> Runs   trajectories, the place of each
                                      │     skipped: 3 read before
                                      │ .finished()
                                      ▼
2,002 runs read = 1,990 used + 12 skipped (3 read before, 9 ended in an error)
"""

from __future__ import annotations

import glob
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from w2stree.errors import Error, InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.trajectories.files import Reading
    from w2stree.trajectories.trajectory import Trajectory

Paths: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="runs: .jsonl or .journal files, folders of them (also .ndjson, .jsonl.gz, "
        ".jsonl.zst), patterns in quotes ('runs/*.jsonl'), or - for JSON lines on standard input",
        show_default=False,
    ),
]
Recursive: TypeAlias = Annotated[
    bool, typer.Option("--recursive", help="read the folders' folders too")
]
Salvage: TypeAlias = Annotated[
    bool, typer.Option("--salvage", help="read a damaged journal's other frames")
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="print JSON, for programs: every text whole")
]


@dataclass(frozen=True, slots=True)
class Runs:
    """What a command goes on with, and an account of the rest.

    `where`: what was given, for messages. `places`: where each trajectory stands, "runs.jsonl:3".
    `skipped`: how many of those that were read do not count, by reason in words ("read before").
    """

    where: str
    trajectories: Sequence[Trajectory]
    places: Sequence[str]
    skipped: dict[str, int]

    @property
    def num_read(self) -> int:
        """Used and skipped."""
        return len(self.trajectories) + sum(self.skipped.values())

    def only(self, keep: Callable[[Trajectory], bool], reason: str) -> Runs:
        """Those that `keep` holds of; the others are skipped for the `reason`."""
        kept = [
            (trajectory, place)
            for trajectory, place in zip(self.trajectories, self.places, strict=True)
            if keep(trajectory)
        ]
        num_skipped = len(self.trajectories) - len(kept)
        before = self.skipped.get(reason, 0)
        return Runs(
            self.where,
            [trajectory for trajectory, _ in kept],
            [place for _, place in kept],
            {**self.skipped, reason: before + num_skipped} if num_skipped else self.skipped,
        )

    def finished(self) -> Runs:
        """Without error rows, which say nothing about their task.

        Raises `InvalidInput` where nothing is left, with the cause.
        """
        kept = self.only(lambda trajectory: trajectory.status != "error", "ended in an error")
        if not kept.trajectories:
            raise InvalidInput(f"{self.where}: {nothing_played(self.trajectories)}")
        return kept

    def account(self) -> str:
        """Where all that was read went: what a command ends with."""
        num_used, num_skipped = len(self.trajectories), sum(self.skipped.values())
        read = f"{self.num_read:,} run{'' if self.num_read == 1 else 's'} read"
        if not num_skipped:
            return f"{read} = {num_used:,} used + 0 skipped"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items())
        return f"{read} = {num_used:,} used + {num_skipped:,} skipped ({reasons})"


def read_runs(paths: Sequence[str], *, recursive: bool = False, salvage: bool = False) -> Runs:
    """The runs at all of the paths; files that lie there and are not read are warned of.

    Raises `FileNotFoundError` for a path or a pattern with nothing to read, and what
    `read_trajectories` raises.
    """
    from w2stree.trajectories.files import read_files, warnings_of

    with _files(paths) as (files, named):
        reading = read_files(*files, recursive=recursive, salvage=salvage)
    where = ", ".join("standard input" if path == "-" else visible(path) for path in paths)
    for message, kind in warnings_of(reading, f"{where}: "):
        warnings.warn(named(message), kind, stacklevel=2)
    places = [named(place) for place in reading.places]
    return Runs(where, reading.trajectories, places, _skipped(reading))


def nothing_played(trajectories: Sequence[Trajectory]) -> str:
    """Why there is nothing to look at in what was read: no trajectory, or error rows alone."""
    if not trajectories:
        return "there are no trajectories in it"
    errors = (trajectory.origin.error for trajectory in trajectories)
    first = next((f"; the first: {error}" for error in errors if error), "")
    return f"all of its {len(trajectories):,} trajectories are error rows{first}"


def _skipped(reading: Reading) -> dict[str, int]:
    counts = {
        "read before": reading.num_repeated,
        "superseded by another attempt": reading.num_superseded,
        "damaged": len(reading.damage),
    }
    return {reason: count for reason, count in counts.items() if count}


@contextmanager
def _files(paths: Sequence[str]) -> Iterator[tuple[list[Path], Callable[[str], str]]]:
    """The paths as files and folders: patterns matched, standard input set down in a file; and how
    to name that file in texts."""
    if paths.count("-") > 1:
        raise InvalidInput("- is given twice; standard input can be read once")
    if "-" not in paths:
        yield [file for path in paths for file in _matches(path)], str
        return
    if sys.stdin is None:
        raise InvalidInput("-: standard input is closed")
    with tempfile.TemporaryDirectory(prefix="w2stree-") as folder:
        lines = Path(folder) / "stdin.jsonl"
        with lines.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)

        def named(text: str) -> str:
            return text.replace(str(lines), "standard input")

        try:
            yield [file for p in paths for file in ([lines] if p == "-" else _matches(p))], named
        except Error as error:
            raise type(error)(named(str(error))) from None


def _matches(path: str) -> list[Path]:
    """The path itself, or what a pattern that no shell expanded matches, in name order."""
    if Path(path).exists() or not glob.has_magic(path):
        return [Path(path)]
    if not (found := sorted(glob.glob(path, recursive=True))):  # noqa: PTH207 (absolute ones)
        raise FileNotFoundError(f"{path}: no file matches this pattern")
    return [Path(file) for file in found]
