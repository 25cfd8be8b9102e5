"""A stage's folder and its neighbours: whatever ends a run, the old result or the new one is whole.

    .NAME.partial/     in the making; deleted when that fails, and by the next start
        │ the stage has ended; its manifest has everything but the outputs' hashes
    .NAME.finished/    a result, whatever happens: the next start completes it and puts it in place
        │ hashed and synced; then NAME -> .NAME.old (which the next start puts back, if need be)
    NAME/              the result
    .NAME.old/         deleted when the new one is in place

Where NAME is a link, to a larger disk or another run, the link is what is moved and deleted: the
new result takes its place, and nothing outside the run's directory is written or deleted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import RunDirectoryError
from w2stree.experiment.hashes import MANIFEST, Hashes, files_below
from w2stree.experiment.manifest import is_manifest, read_manifest
from w2stree.experiment.run_json import read_json, write_json
from w2stree.shorten import visible
from w2stree.trajectories.replacing import leftovers, sync_directory

_RESERVE = ".reserve"
_RESERVED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StageFolder:
    """One stage's place in a run's directory; written to by who holds the run."""

    run: Path
    name: str

    @property
    def path(self) -> Path:
        """Where the finished result is."""
        return self.run / self.name

    @property
    def partial(self) -> Path:
        return self.run / f".{self.name}.partial"

    @property
    def finished(self) -> Path:
        return self.run / f".{self.name}.finished"

    @property
    def old(self) -> Path:
        return self.run / f".{self.name}.old"

    def recover(self, hashes: Hashes) -> None:
        """Bring to an end what an earlier process was interrupted in.

        Raises `RunDirectoryError` where a finished result still cannot be put in its place.
        """
        _remove(self.partial)
        if self.finished.is_dir():
            self.complete(hashes)
        if os.path.lexists(self.old):
            if os.path.lexists(self.path):
                _remove(self.old)
            else:
                self._rename(self.old, self.path)
                sync_directory(self.run)

    def begin(self) -> Path:
        """An empty folder to fill, with room for the manifest set aside."""
        _remove(self.partial)
        self.partial.mkdir()
        with (self.partial / _RESERVE).open("wb") as reserve:
            reserve.write(bytes(_RESERVED_BYTES))
        return self.partial

    def end(self, draft: Mapping[str, Any]) -> None:
        """What was filled is a result from here on; `draft` is its manifest without outputs."""
        (self.partial / _RESERVE).unlink()
        try:
            write_json(self.partial / MANIFEST, draft)
        except OSError as error:
            self._rename(self.partial, self.finished)
            raise RunDirectoryError(
                f"{visible(str(self.finished))}: holds what the stage {self.name} made, but its "
                f"manifest cannot be written ({error.strerror or error}): keep what you need of "
                "it, then delete that folder to redo the stage"
            ) from error
        self._rename(self.partial, self.finished)

    def take(self, source: Path, manifest: Mapping[str, Any], hashes: Hashes) -> bool:
        """Put another run's result in the place, with this manifest: its files linked, or copied
        from another file system, and hashed here. False, and nothing changed, where the files in
        `source` are not those that the manifest names."""
        self.begin()
        try:
            for file, digest in manifest["outputs"].items():
                target = self.partial / file
                is_there = _is_below(file) and _link_or_copy(source / file, target)
                if not is_there or hashes.of_file(target) != digest:
                    self.abandon()
                    return False
            _sync(self.partial)
            self.end(manifest)
        except BaseException:
            self.abandon()
            raise
        self.complete(hashes)
        return True

    def abandon(self) -> None:
        """Leave nothing of what was not finished."""
        _remove(self.partial)

    def complete(self, hashes: Hashes) -> None:
        """Hash and sync a finished result, then put it in its place."""
        record = self._draft()
        if not is_manifest(record):
            try:
                for left in leftovers(self.finished / MANIFEST):  # no output: a kill left it
                    left.unlink()
                _sync(self.finished)
                record["outputs"] = hashes.of_files(self.finished)
                write_json(self.finished / MANIFEST, record)
            except OSError as error:
                raise RunDirectoryError(
                    f"{visible(str(self.finished))}: holds what the stage {self.name} made, but "
                    f"its manifest cannot be written ({error}); mend that, and the same command "
                    "goes on with it"
                ) from error
            sync_directory(self.run)
        for name in record.get("outlived", ()):
            (self.run / name).unlink(missing_ok=True)
        self._take_place()

    def refuse_to_lose(self) -> None:
        """`RunDirectoryError` where the folder holds what no stage wrote: a redone stage's old
        folder is deleted. Hidden files aside."""
        path = self.path
        if path.is_symlink() or not os.path.lexists(path):
            return
        if not path.is_dir():
            raise RunDirectoryError(f"{visible(str(path))}: no stage made this file; move it away")
        if not (path / MANIFEST).is_file():
            if list(path.iterdir()):
                raise RunDirectoryError(
                    f"{visible(str(path))}: has no {MANIFEST}, so no finished stage made it; put "
                    "the manifest back, or move the folder away to redo the stage"
                )
            return
        try:
            manifest = read_manifest(path, self.name)
        except RunDirectoryError:
            return  # torn: only by --force does one come here
        assert manifest is not None
        self.refuse_others(manifest["outputs"])

    def refuse_others(self, outputs: Mapping[str, str]) -> None:
        """`RunDirectoryError` for a file that the stage did not write, hidden ones aside: whoever
        reads a folder would read it too."""
        for relative in files_below(self.path):
            is_hidden = any(part.startswith(".") for part in relative.parts)
            if not is_hidden and str(relative) not in outputs:
                raise RunDirectoryError(
                    f"{visible(str(self.path / relative))}: the stage {self.name} did not write "
                    "this file; move it out of the run directory"
                )

    def _draft(self) -> dict[str, Any]:
        file = self.finished / MANIFEST
        remedy = (
            f"what lies there is what the stage {self.name} made, and its figures are lost: keep "
            f"what you need, then delete {visible(str(self.finished))} to redo the stage"
        )
        record = read_json(file, remedy=remedy)
        if not isinstance(record, dict) or not isinstance(record.get("inputs"), dict):
            raise RunDirectoryError(f"{visible(str(file))}: not a manifest; {remedy}")
        return record

    def _take_place(self) -> None:
        self.refuse_to_lose()
        if os.path.lexists(self.path):
            _remove(self.old)
            self._rename(self.path, self.old)
        self._rename(self.finished, self.path)
        sync_directory(self.run)
        _remove(self.old)

    def _rename(self, source: Path, target: Path) -> None:
        try:
            source.rename(target)
        except OSError as error:
            kept = self.finished if self.finished.is_dir() else self.partial
            raise RunDirectoryError(
                f"{visible(str(source))}: cannot be renamed to {target.name} "
                f"({error.strerror or error}); the new result is in {visible(str(kept))}, and the "
                "same command puts it in place once that is mended"
            ) from error


def _remove(path: Path) -> None:
    """A folder with all below, a link or a file; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def _is_below(file: str) -> bool:
    return not Path(file).is_absolute() and ".." not in Path(file).parts


def _link_or_copy(source: Path, target: Path) -> bool:
    """Whether there is a file to be had."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        real = source.resolve(strict=True)
        if not real.is_file():
            return False
        try:
            os.link(real, target)
        except OSError:  # another file system, one without links, or another user's file
            shutil.copyfile(real, target)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RunDirectoryError(
            f"{visible(str(source))}: cannot be taken over ({error.strerror or error}); nothing "
            "was changed"
        ) from error
    return True


def _sync(folder: Path) -> None:
    """All files and folders below, on the disk when this returns."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        sync_directory(Path(parent))
