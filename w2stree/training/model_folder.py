"""The folder of a trained model: there whole or not at all, and never two trainings in one.

OUT/           absent or empty          the training begins
.OUT.partial/  request.json             what is trained: rows, settings, start
               checkpoint-500/ …        the trainer's; the same call goes on from the last
               result/                  model, README.md, losses.jsonl, metrics.json
               runs/                    curves, where report_to asks for files of them
    │ all written and synced: result, runs in it, -> OUT, the rest is deleted
OUT/           the trained model
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from w2stree.errors import InvalidInput, RowWarning
from w2stree.shorten import shorten, visible
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.lock import refuse_without, take
from w2stree.trajectories.owner import MAX_BYTES, described, this_process
from w2stree.trajectories.replacing import replacing, sync_directory

_REQUEST = "request.json"
_LOCK = ".lock"
_SHOWN_COLUMNS = 60


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Where a model is being made. `is_writer`: of several processes the one that writes."""

    path: Path
    is_writer: bool

    @property
    def partial(self) -> Path:
        """The trainer's own folder."""
        return self.path.parent / f".{self.path.name}.partial"

    @property
    def result(self) -> Path:
        """To be filled; takes the place of `path` when the block of `making` ends."""
        return self.partial / "result"

    @property
    def curves(self) -> Path:
        """What trackers write to files, of all sessions of the training."""
        return self.partial / "runs"

    def last_checkpoint(self) -> Path | None:
        """What an interrupted training of this kind left. The trainer writes its state last and in
        place: where it was killed meanwhile a part of it is there, and no checkpoint."""
        found = [
            (int(number), path)
            for path in self.partial.glob("checkpoint-*")
            if (number := path.name.rpartition("-")[2]).isdecimal()
            and isinstance(_read(path / "trainer_state.json"), dict)
        ]
        return max(found)[1] if found else None


def refuse_filled(path: Path) -> None:
    """Raises `InvalidInput` where a folder holds something, or is none, and where none can be put
    in its place: that comes after the training, and its failure would cost it. Raises
    `UnsupportedSystem` where the system has no locks of files."""
    refuse_without(f"{visible(str(path))}: a training")
    if path.is_dir() and not any(path.iterdir()):
        if path.is_symlink() or path.is_mount() or path.resolve() == Path.cwd():
            raise InvalidInput(
                f"{visible(str(path))}: is a link, a mount or the current directory, which the "
                "finished folder cannot replace; name a new folder in it"
            )
        _refuse_unwritable(path)
        return
    if os.path.lexists(path):
        what = "holds files already" if path.is_dir() else "is no folder"
        raise InvalidInput(
            f"{visible(str(path))}: {what}, and a model is never mixed with what is there; choose "
            "another output directory, or move that one away"
        )
    _refuse_unwritable(path)


def _refuse_unwritable(path: Path) -> None:
    """The nearest folder above that is there holds what is made on the way."""
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise InvalidInput(f"{visible(str(path))}: {visible(str(above))} is no folder")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=above):
            pass
    except OSError as error:
        raise InvalidInput(
            f"{visible(str(path))}: no folder can be made in {visible(str(above))} "
            f"({error.strerror}); choose another output directory"
        ) from None


@contextmanager
def making(path: Path, request: Mapping[str, Any], *, is_writer: bool) -> Iterator[ModelFolder]:
    """A model is made within and, when the block ends, put in its place.

    `request` is what the training depends on, plain JSON: where an interrupted one left checkpoints
    for the same request, `last_checkpoint` is one to go on from. Left by an error without a
    checkpoint, nothing remains. Only the writer touches the disk.

    Raises `InvalidInput` where `path` holds something, where an interrupted training of another
    request lies beside it, naming what differs, and where another process makes this model;
    `UnsupportedSystem` where the system has no locks of files.
    """
    refuse_filled(path)
    folder = ModelFolder(path, is_writer)
    if not is_writer:
        yield folder
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    folder.partial.mkdir(exist_ok=True)
    with _locked(folder):
        _take_up(folder, request)
        try:
            folder.result.mkdir()
            yield folder
            _put_in_place(folder)
        except BaseException as error:
            if folder.last_checkpoint() is None:
                shutil.rmtree(folder.partial, ignore_errors=True)
                if isinstance(error, KeyboardInterrupt):
                    warnings.warn(
                        "no checkpoint was due yet (save_steps, save_strategy): the training will "
                        "begin anew",
                        RowWarning,
                        stacklevel=5,
                    )
            raise


def _take_up(folder: ModelFolder, request: Mapping[str, Any]) -> None:
    """Go on with an interrupted training of the same request, or begin."""
    file = folder.partial / _REQUEST
    now = json.loads(json.dumps(request, default=str))
    if folder.last_checkpoint() is not None and (before := _read(file)) != now:
        differs = _differences(before, now) if isinstance(before, dict) else "request.json"
        raise InvalidInput(
            f"{visible(str(folder.partial))}: an interrupted training is there, and this one is "
            f"another (it differs in {differs}); give what it was given to go on with it, or "
            "delete that folder"
        )
    if folder.last_checkpoint() is None:
        for path in folder.partial.iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif folder.result.is_dir():
        shutil.rmtree(folder.result)
    with replacing(file) as written:
        json.dump(now, written, indent=2)


def _read(file: Path) -> Any:
    with suppress(OSError, InvalidInput):
        return parse_json(file.read_bytes(), str(file), with_nan=True)
    return None


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(
        f"{name}: {shorten(str(before.get(name)), _SHOWN_COLUMNS)} then, "
        f"{shorten(str(now.get(name)), _SHOWN_COLUMNS)} now"
        for name in names
    )


def _put_in_place(folder: ModelFolder) -> None:
    if folder.curves.is_dir():
        folder.curves.rename(folder.result / folder.curves.name)
    for file in folder.result.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    sync_directory(folder.result)
    refuse_filled(folder.path)
    with suppress(FileNotFoundError):
        folder.path.rmdir()
    folder.result.rename(folder.path)
    sync_directory(folder.path.parent)
    shutil.rmtree(folder.partial, ignore_errors=True)


@contextmanager
def _locked(folder: ModelFolder) -> Iterator[IO[bytes]]:
    """Held by this process until the block ends, or the process does."""
    with (folder.partial / _LOCK).open("a+b") as lock:
        try:
            take(lock)
        except BlockingIOError:
            lock.seek(0)
            raise InvalidInput(
                f"{visible(str(folder.path))} is being made by {described(lock.read(MAX_BYTES))}; "
                "wait for it, or choose another output directory"
            ) from None
        lock.truncate(0)
        lock.write(this_process().encode())
        lock.flush()
        yield lock
