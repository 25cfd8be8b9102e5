"""The journal: an append-only file of finished episodes that survives whatever ends its writer.

    w2s1 0000000417 5d3c0aa1 {"task_id":"twc/train/3", … "origin":{"sample_index":0, … }, … }\n
    w2s1 0000000398 09e1c7f2 {"task_id":"twc/train/3", … "origin":{"sample_index":1, … }, … }\n
    w2s1 0000000402 77ab01d0 {"task_id":"twc/tr                <- torn: cut off at the next opening

One frame an episode (`w2stree.trajectories.frames`), in the order they were committed; an
episode's key is (task_id, sample_index, attempt). An episode is acknowledged once `commit` has
returned: it is then on the disk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterator
from dataclasses import dataclass
from io import BufferedWriter, FileIO
from itertools import chain, count
from pathlib import Path

from w2stree.errors import InvalidInput, JournalError
from w2stree.shorten import quoted
from w2stree.trajectories import lock
from w2stree.trajectories.episodes import FramedEpisode, damaged, read_episodes
from w2stree.trajectories.frames import Damage, Frame, encode_frame, read_frames
from w2stree.trajectories.owner import MAX_BYTES, described, this_process
from w2stree.trajectories.replacing import (
    leftovers,
    open_new,
    permissions_of,
    replacing,
    sync_directory,
)
from w2stree.trajectories.trajectory import Trajectory

Key = tuple[str, int, int]
"""(task_id, sample_index, attempt)."""

_SHOWN_COLUMNS = 200


class JournalHeldError(JournalError):
    """Another process writes it: wait for it, or stop it."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a journal holds: every recorded attempt, in order, and what could not be read.

    `num_torn_bytes`: a last frame that was never acknowledged. `num_damaged` places, of one
    frame or several in a row, with `num_damaged_bytes` together, were passed over (`salvage`):
    those that are no frame, and frames that no trajectory can be read from.
    """

    trajectories: tuple[Trajectory, ...]
    num_torn_bytes: int = 0
    num_damaged: int = 0
    num_damaged_bytes: int = 0


def key_of(trajectory: Trajectory) -> Key:
    """An episode's key; `InvalidInput` if `origin` does not say which sample it is."""
    origin = trajectory.origin
    if origin.sample_index is None:
        raise InvalidInput(
            f"{trajectory.task_id}: the origin has no sample_index; explored episodes need one"
        )
    return trajectory.task_id, origin.sample_index, origin.attempt


def read_journal(path: str | os.PathLike[str], *, salvage: bool = False) -> Contents:
    """Every attempt of a journal, also of one being written; the file stays as it is.

    Raises `JournalError` naming file, byte and frame at damage that is no torn end, and at a
    frame that no trajectory can be read from, unless `salvage`; `FileNotFoundError`.
    """
    trajectories: list[Trajectory] = []
    torn, lost = 0, []
    for piece in read_episodes(Path(path), salvage=salvage):
        if isinstance(piece, FramedEpisode):
            trajectories.append(piece.trajectory)
        elif piece.is_torn:
            torn = piece.size
        else:
            lost.append(piece.size)
    return Contents(tuple(trajectories), torn, len(lost), sum(lost))


class Journal:
    """A journal open for appending, by one process at a time; use it with `with`.

    Opening creates the file, locks it, cuts a torn end off (`num_torn_bytes` says how much) and
    reads all keys. Damage before the end raises `JournalError` naming byte and frame, and so does
    a frame that is no episode, or one that was recorded before; with `salvage` the others are
    kept, `damage` says what was not, and the original stays beside it as `NAME.damaged`. Another
    writer raises `JournalError` naming its process. The lock is the system's (`flock`) and ends
    with the process, however it ends; a system without such locks is `UnsupportedSystem`.

    `keys` are of what is on the disk.
    """

    def __init__(self, path: str | os.PathLike[str], *, salvage: bool = False) -> None:
        self.path = Path(path)
        self.num_torn_bytes = 0
        self.damage: list[Damage] = []
        self.keys: set[Key] = set()
        self._pending: dict[Key, bytes] = {}
        self._failure: str | None = None
        self._owner = self.path.with_name(f".{self.path.name}.owner")
        try:
            self._file = _open_locked(self.path, self._owner)
            try:
                self._take_over(salvage=salvage)
            except BaseException:
                self._release()
                raise
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be opened ({error})") from None

    @property
    def num_bytes(self) -> int:
        """Of what is on the disk: whole frames, all of them acknowledged."""
        return self._size

    @property
    def num_damaged(self) -> int:
        """Places that `salvage` passed over."""
        return len(self.damage)

    def episodes(self) -> Iterator[Trajectory]:
        """Every committed attempt, in order, read back one at a time."""
        for piece in read_episodes(self.path):
            assert isinstance(
                piece, FramedEpisode
            )  # repaired at opening, written by nobody else since
            yield piece.trajectory

    def append(self, trajectory: Trajectory) -> None:
        """Queue an episode for the next `commit`; a key that was used raises `JournalError`.

        Raises `InvalidInput` for what would not be read back equal: an episode of which `info`
        was written into. A journal with one such frame would be of no use to anybody.
        """
        self._refuse_when_closed()
        key = key_of(trajectory)
        if key in self.keys or key in self._pending:
            raise JournalError(f"{self.path}: {_named(key)} is recorded already")
        line = trajectory.to_json()
        if Trajectory.from_json(line, where=_named(key)) != trajectory:
            raise InvalidInput(
                f"{_named(key)}: would be read back as something else; its info was written into "
                "after it was made"
            )
        self._pending[key] = encode_frame(line.encode("utf-8"))

    def commit(self) -> None:
        """Write what was appended and wait until it is on the disk: one write, one fsync.

        Raises `JournalError` if the disk is full or fails: the file is then cut back to what was
        acknowledged, and the journal takes no more.
        """
        self._refuse_when_closed()
        if not self._pending:
            return
        try:
            self._write(b"".join(self._pending.values()))
        except OSError as error:
            self._failure = error.strerror or str(error)
            raise JournalError(
                f"{self.path}: {len(self._pending)} episodes could not be written "
                f"({self._failure}); everything acknowledged before is in the file: make room, "
                "then run the same command again"
            ) from None
        self.keys |= self._pending.keys()
        self._pending.clear()

    def close(self) -> None:
        """Commit what is pending and give the lock back; safe to call twice."""
        if self._file.closed:
            return
        try:
            if self._failure is None:
                self.commit()
        finally:
            self._release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _take_over(self, *, salvage: bool) -> None:
        """Check every frame, collect the keys, repair what may be repaired."""
        end, kept = 0, set()
        for piece in read_episodes(self.path, salvage=salvage):
            if isinstance(piece, Damage):
                if piece.is_torn:
                    self.num_torn_bytes = piece.size
                else:
                    self.damage.append(piece)
            elif reason := self._take(piece):
                if not salvage:
                    raise JournalError(
                        f"{self.path}: byte {piece.frame.offset}: {reason}; --salvage goes on "
                        "without it and sets the original aside"
                    )
                self.damage.append(damaged(piece.frame, reason))
            else:
                kept.add(piece.frame.offset)
                end = piece.frame.end
        if self.damage:
            self._file = _without_damage(self.path, self._file, kept)
        elif self.num_torn_bytes:
            os.ftruncate(self._file.fileno(), end)
            os.fsync(self._file.fileno())
        self._size = os.fstat(self._file.fileno()).st_size

    def _take(self, episode: FramedEpisode) -> str | None:
        """Its key, or why it has no place in a journal."""
        try:
            key = key_of(episode.trajectory)
        except InvalidInput as error:
            return str(error)
        if key in self.keys:
            return f"{_named(key)} is recorded twice; was the file put together from two?"
        self.keys.add(key)
        return None

    def _write(self, data: bytes) -> None:
        descriptor = self._file.fileno()
        try:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[os.write(descriptor, remaining) :]
            os.fsync(descriptor)
        except BaseException:
            # Also for an interrupt in between: what is pending is written anew, or never.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        self._size += len(data)

    def _refuse_when_closed(self) -> None:
        if self._file.closed:
            raise JournalError(f"{self.path}: the journal is closed; open it again to write")
        if self._failure is not None:
            raise JournalError(f"{self.path}: closed after a failed write ({self._failure})")

    def _release(self) -> None:
        self._owner.unlink(missing_ok=True)
        self._file.close()


def _open_locked(path: Path, owner: Path) -> FileIO:
    """The file, locked for this process, which `owner` then names."""
    lock.refuse_without(f"{path}: writing a journal")
    is_new = not path.exists()
    if not (is_new or path.is_file()):  # to open a pipe waits for whoever reads it
        raise JournalError(f"{path} is no regular file; a journal is one")
    file = FileIO(path, "ab")
    try:
        lock.take(file)
        if not _is_at(path, file):
            raise BlockingIOError
        # Of those who were killed holding the lock; and a pipe or link that somebody laid there.
        for left in (owner, *leftovers(owner)):
            left.unlink(missing_ok=True)
        with replacing(owner) as told:
            told.write(this_process())
        if is_new:
            sync_directory(path.parent)
    except BlockingIOError:
        file.close()
        raise JournalHeldError(
            f"{path} is being written by {_describe(owner)}; wait for it, or stop it"
        ) from None
    except BaseException:
        file.close()
        raise
    return file


def _is_at(path: Path, file: FileIO) -> bool:
    """Whether the file that was opened at the path is still there: salvaging puts another one into
    it, and whoever takes a journal over deletes it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _describe(owner: Path) -> str:
    """The writer as it describes itself, in a file of its own; anything else there is not read."""
    if owner.is_symlink() or not owner.is_file():
        return "another process"
    try:
        with owner.open("rb") as file:
            return described(file.read(MAX_BYTES))
    except OSError:
        return "another process"


def _without_damage(path: Path, original: FileIO, kept: Container[int]) -> FileIO:
    """Put a file of the frames that begin at these bytes, locked, in the path's place; the
    original stays beside. Of a link, in the place of the file that it leads to."""
    path = path.resolve()
    partial = path.with_name(f".{path.name}.salvaged")
    partial.unlink(missing_ok=True)
    permissions = permissions_of(os.fstat(original.fileno()))
    salvaged = FileIO(partial, "ab", opener=lambda p, flags: open_new(p, flags, permissions))
    try:
        lock.take(salvaged)
        with BufferedWriter(FileIO(os.dup(salvaged.fileno()), "ab")) as out:
            for piece in read_frames(path, salvage=True):
                if isinstance(piece, Frame) and piece.offset in kept:
                    out.write(encode_frame(piece.payload))
        os.fsync(salvaged.fileno())
        os.link(path, _unused(path.with_name(f"{path.name}.damaged")))
        partial.replace(path)
    except BaseException:  # a full disk has no room for half a copy
        partial.unlink(missing_ok=True)
        salvaged.close()
        raise
    sync_directory(path.parent)
    original.close()
    return salvaged


def _unused(path: Path) -> Path:
    """The path, or the first of path.2, path.3, … that does not exist."""
    numbered = (path.with_name(f"{path.name}.{n}") for n in count(2))
    return next(p for p in chain([path], numbered) if not p.exists())


def _named(key: Key) -> str:
    task_id, sample_index, attempt = key
    return f"task {quoted(task_id, _SHOWN_COLUMNS)}, sample {sample_index}, attempt {attempt}"
