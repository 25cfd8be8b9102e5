"""The paths that a command is given: files and folders, patterns, and what can be read once.

runs/   'more/*.jsonl'        as they are; what the pattern matches
-       <(zcat a.jsonl.gz)    set down in files, since reading looks at a file's beginning first
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

EXPECTED = "a file of runs, a folder of such files, a pattern in quotes or -"


@contextmanager
def files_of(paths: Sequence[str]) -> Iterator[tuple[list[Path], Callable[[str], str]]]:
    """The paths as files and folders: patterns matched, standard input and pipes, which can be read
    once, set down in files; and how to name those files in texts."""
    if paths.count("-") > 1:
        raise InvalidInput("- is given twice; standard input can be read once")
    if not any(map(is_read_once, paths)):
        yield [file for path in paths for file in matches(path)], str
        return
    with tempfile.TemporaryDirectory(prefix="w2stree-") as folder:
        names: dict[str, str] = {}

        def set_down(path: str) -> Path:
            file = Path(folder) / f"{len(names)}.jsonl"
            names[str(file)] = "standard input" if path == "-" else path
            _copy(path, file)
            return file

        def named(text: str) -> str:
            for file, name in names.items():
                text = text.replace(file, name)
            return text

        given = [[set_down(p)] if is_read_once(p) else matches(p) for p in paths]
        try:
            yield [file for files in given for file in files], named
        except Error as error:
            raise type(error)(named(str(error))) from None


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
