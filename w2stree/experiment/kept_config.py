"""The configuration that a run's directory keeps: one run, one configuration, one process.

free, or a run's? ──> take its lock ──> still? ──> compare ──> write config.json
 └ no: nothing made     └ another's: nothing changed └ differs, with results, and is not accepted:
                                                       nothing changed
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.changes import Change, changes
from w2stree.experiment.hashes import KEPT, MANIFEST, absence
from w2stree.experiment.run_json import read_json, write_json
from w2stree.experiment.run_lock import LOCK, holding
from w2stree.shorten import visible
from w2stree.trajectories.lock import refuse_without
from w2stree.trajectories.replacing import sync_directory

CONFIG = "config.json"

_HALF_WRITTEN = re.compile(r"\.(config|tasks|\.hashes)\.json(\.[0-9a-f]+)?\.partial")
"""What a process leaves that was killed while it wrote a file of the run (`replacing`)."""


@contextmanager
def held_run(
    path: Path,
    config: Mapping[str, Any],
    *,
    may_change: Collection[str] = (),
    accept: Callable[[Sequence[Change]], None] | None = None,
    read: Callable[[Any], Any] = lambda recorded: recorded,
) -> Iterator[None]:
    """Hold a run's folder for this process, with this configuration in its `config.json`.

    The folder is made where it is missing. Without results, a finished stage or a recorded
    episode, another configuration is replaced. With results a difference anywhere but in the keys
    of `may_change` ("budget", "environment.num_processes") and below raises `RunDirectoryError`,
    unless `accept`, which is told of the differences, returns. A folder with other things in it
    raises it too, and one that another process holds, and one that cannot be written to. Whatever
    is refused stays as it is, and `config.json` is written, all or nothing, only by who holds the
    folder.

    `read` gives a recorded configuration as it would be recorded today, so that a run of an
    older version is compared by what it says; its `InvalidInput` is the reason to refuse it.
    """
    _refuse_other_things(path)
    refuse_without(f"{visible(str(path))}: a run")
    try:
        _make_folder(path)
    except OSError as error:
        reason = absence(path) if path.is_symlink() else error.strerror or error
        raise RunDirectoryError(
            f"{visible(str(path))}: the run's folder cannot be made ({reason}); choose another "
            "--run-dir"
        ) from None
    with holding(path):
        _refuse_other_things(path)
        given = json.loads(json.dumps(config, default=str))
        stored = path / CONFIG
        is_kept = False
        if stored.is_file() and has_results(path):
            recorded = _recorded(path)
            differing = changes(_today(stored, recorded, read), given, but=may_change)
            if differing:
                (accept or functools.partial(_refuse, path))(differing)
            is_kept = recorded == given
        _keep(stored, given, is_kept=is_kept)
        yield


def of_another_configuration(path: Path, differing: Sequence[Change]) -> str:
    """What is said first of a folder that is refused for its configuration."""
    shown = "; ".join(str(change) for change in differing[:3])
    more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
    return f"{visible(str(path))} was made by another configuration ({shown}{more})"


def _refuse(path: Path, differing: Sequence[Change]) -> None:
    raise RunDirectoryError(
        f"{of_another_configuration(path, differing)}; choose another --run-dir"
    )


def _keep(stored: Path, config: Any, *, is_kept: bool) -> None:
    _remove_half_written(stored.parent)
    if is_kept:
        return
    try:
        write_json(stored, config)
    except OSError as error:
        raise RunDirectoryError(
            f"{visible(str(stored))}: cannot be written ({error.strerror or error}); nothing was "
            "changed"
        ) from None


def _remove_half_written(path: Path) -> None:
    for entry in list(path.iterdir()):
        if _HALF_WRITTEN.fullmatch(entry.name):
            entry.unlink()


def _make_folder(path: Path) -> None:
    """With its parents, on the disk when this returns."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        _make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def _refuse_other_things(path: Path) -> None:
    """Nothing is written into a folder that no run made."""
    if (path / CONFIG).is_file() or not path.is_dir():
        return
    if all(_is_of_a_start(entry.name) for entry in list(path.iterdir())):
        return
    if has_results(path):
        raise RunDirectoryError(
            f"{visible(str(path))} has results but no {CONFIG}: which configuration made them "
            f"is not known. They are untouched. {_how_to_put_back(path)}. If this is no run "
            "directory, choose another --run-dir"
        )
    raise RunDirectoryError(
        f"{visible(str(path))} is not empty and has no {CONFIG}: it is not a run directory; "
        "choose another with --run-dir"
    )


def _is_of_a_start(name: str) -> bool:
    """Whether that is all a start leaves which was killed before its configuration was written."""
    return name in (LOCK, KEPT) or _HALF_WRITTEN.fullmatch(name) is not None


def has_results(path: Path) -> bool:
    """Of any command: one must not take over what another has made. A stage that was moved to a
    disk that is not there now counts."""
    return any(_is_result(entry) for entry in list(path.iterdir()))


def _is_result(entry: Path) -> bool:
    if entry.suffix == ".journal":
        return entry.is_file() and entry.stat().st_size > 0
    return (entry / MANIFEST).is_file() or (entry.is_symlink() and not entry.exists())


def _recorded(path: Path) -> Any:
    recorded = read_json(
        path / CONFIG, remedy=f"the results beside it are untouched. {_how_to_put_back(path)}"
    )
    if not isinstance(recorded, dict):
        raise RunDirectoryError(
            f"{visible(str(path / CONFIG))}: not a configuration; the results beside it are "
            f"untouched. {_how_to_put_back(path)}"
        )
    return recorded


def _how_to_put_back(path: Path) -> str:
    for manifest in sorted(path.glob(f"*/{MANIFEST}")):
        return (
            f'Put {CONFIG} back from a copy, or write into it what stands under "config" in '
            f"{visible(str(manifest))}"
        )
    return (
        f"Put {CONFIG} back from a copy; or, if you know the command that made them, run it with "
        f"a new --run-dir, stop it once it plays, and copy the {CONFIG} it wrote here"
    )


def _today(file: Path, recorded: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(recorded)
    except InvalidInput as error:
        raise RunDirectoryError(
            f"{visible(str(file))} is of another version, whose configuration is not read here "
            f"({'; '.join(str(error).splitlines()[:3])}), or of another command; choose another "
            "--run-dir, or go on with what made it"
        ) from None
