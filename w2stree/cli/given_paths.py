"""The paths that a command is given: files and folders, patterns, and what can be read once.

runs/   'more/*.jsonl'        as they are; what the pattern matches
-       <(zcat a.jsonl.gz)    set down in files, since reading looks at a file's beginning first
all/   all/logs/a.jsonl       a store (w2stree store), or a file in it: set down in files
runs/quickstart               a run directory: its explored runs, runs/quickstart/explore
"""

from __future__ import annotations

import glob
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from w2stree.errors import Error, InvalidInput
from w2stree.shorten import visible

_EXPLORED = "explore"  # a stage of a run directory
EXPECTED = "a file of runs, a folder of such files, a pattern in quotes or -"


@contextmanager
def files_of(paths: Sequence[str]) -> Iterator[tuple[list[Path], Callable[[str], str]]]:
    """The paths as files and folders: patterns matched, standard input and pipes, which can be read
    once, and what a store holds set down in files; and how to name those files in texts."""
    from w2stree.store.as_files import set_down, stored_at

    if paths.count("-") > 1:
        raise InvalidInput("- is given twice; standard input can be read once")
    stored = {path: stored_at(path) for path in paths if not is_read_once(path)}
    if not any(is_read_once(path) or stored[path] for path in paths):
        yield [file for path in paths for file in matches(path)], str
        return
    with tempfile.TemporaryDirectory(prefix="w2stree-") as folder:
        names: dict[str, str] = {}

        def set_down_once(path: str) -> Path:
            file = Path(folder) / f"{len(names)}.jsonl"
            names[str(file)] = "standard input" if path == "-" else path
            _copy(path, file)
            return file

        def of_store(store: Path, name: str | None) -> list[Path]:
            target = Path(folder) / f"{len(names)}.store"
            names[str(target)] = str(store)
            return set_down(store, target, name)

        def named(text: str) -> str:
            for file, name in names.items():
                text = text.replace(file, name)
            return text

        def files_at(path: str) -> list[Path]:
            if is_read_once(path):
                return [set_down_once(path)]
            return matches(path) if (found := stored[path]) is None else of_store(*found)

        given = list(map(files_at, paths))
        try:
            yield [file for files in given for file in files], named
        except Error as error:
            raise type(error)(named(str(error))) from None


def explored_in(path: str) -> str:
    """Of a run directory where its explored runs lie; any other path as it is."""
    explored = Path(path) / _EXPLORED
    return str(explored) if (explored / "manifest.json").is_file() else path


def runs_at(paths: Sequence[str], *, recursive: bool) -> list[str]:
    """Where the runs lie that are read at paths: of a run directory the explored ones (its stages
    play the same tasks), unless all folders are read."""
    return list(paths) if recursive else [explored_in(path) for path in paths]


def refuse_a_store(path: Path, way: str) -> None:
    """Of a command that takes no store, and no file in one. Raises `InvalidInput` for these, with
    the `way`."""
    from w2stree.store.as_files import stored_at

    match stored_at(str(path)):
        case (_, name):
            what = "a store" if name is None else "in a store"
            raise InvalidInput(
                f"{visible(str(path))}: {what}, which this command does not take: {way}"
            )


def is_read_once(path: str) -> bool:
    """Standard input, or a pipe as `<(zcat runs.jsonl.gz)` is one."""
    return path == "-" or Path(path).is_fifo()


def _copy(path: str, file: Path) -> None:
    if path != "-":
        with Path(path).open("rb") as pipe, file.open("wb") as target:
            shutil.copyfileobj(pipe, target)
        return
    if sys.stdin is None:
        raise InvalidInput("-: standard input is closed")
    with file.open("wb") as target:
        shutil.copyfileobj(sys.stdin.buffer, target)


def matches(path: str) -> list[Path]:
    """The path itself, or what a pattern that no shell expanded matches, in name order."""
    if Path(path).exists():
        return [Path(path)]
    if Path(path).is_symlink():
        raise FileNotFoundError(f"{path}: a link to {Path(path).readlink()}, which is not there")
    if not glob.has_magic(path):
        raise FileNotFoundError(f"{path}: no such file or directory; expected {EXPECTED}")
    if not (found := sorted(glob.glob(path, recursive=True))):  # noqa: PTH207 (absolute ones)
        raise FileNotFoundError(f"{path}: no file matches this pattern")
    return [Path(file) for file in found]
