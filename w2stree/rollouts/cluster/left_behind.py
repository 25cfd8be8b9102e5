"""Journals on the disk of one machine: where they are, and what killed workers left there.

    FOLDER/RUN/SESSION-NUMBER.journal     a worker's; RUN names the exploration, SESSION its driver

A worker that comes puts what others left into its own journal, so that nothing that reached this
disk waits for the worker that wrote it.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

from w2stree.errors import JournalError
from w2stree.trajectories.journal import Journal, JournalHeldError, key_of

_AT_ONCE = 256  # episodes in memory
_TRIES = 5
_LOOK_S = 0.1
_ENDING_S = 1.0
"""How long a killed process may hold its files."""
_LEFT_S = 30.0
"""How long a worker may take to end after its driver has, by Ray."""


def own_folder(folder: Path | None, run: str) -> Path:
    """The folder of an exploration's journals on this machine; made where it is missing.

    Raises `JournalError` where it cannot be made, and where another user could write to it.
    """
    root = folder or Path(tempfile.gettempdir()) / f"w2stree-{os.getuid()}"
    own = root / run
    host = socket.gethostname()
    try:
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_ours = all(place.stat().st_uid == os.getuid() for place in (root, own))
    except OSError as error:
        raise JournalError(
            f"{host}: {own} cannot be made for this machine's journal "
            f"({error.strerror or error}); choose another --local-dir"
        ) from None
    if not is_ours:
        raise JournalError(f"{host}: {root} is another user's; choose another --local-dir")
    return own


def new_journal(folder: Path, session: str) -> Journal:
    """A journal for one worker of the session. Raises as `Journal` does."""
    for _ in range(_TRIES - 1):
        # A colleague that takes journals over may have laid hands on it before it was locked.
        with suppress(JournalHeldError):
            return Journal(folder / f"{session}-{uuid.uuid4().hex}.journal")
    return Journal(folder / f"{session}-{uuid.uuid4().hex}.journal")


def take_over(journal: Journal, session: str, *, salvage: bool) -> None:
    """Put the episodes of journals beside it that nobody writes any more into a new one, and
    delete those.

    One of an earlier `session` that is still held is waited for; one of this session has a worker,
    or had one a moment ago. A key that is there already is passed over. Raises as `Journal` does.
    """
    began = time.monotonic()
    others = [p for p in sorted(journal.path.parent.glob("*.journal")) if p != journal.path]
    for path in others:
        due = began + (_ENDING_S if path.name.startswith(session) else _LEFT_S)
        while not _taken(path, journal, salvage=salvage) and time.monotonic() < due:
            time.sleep(_LOOK_S)


def _taken(path: Path, journal: Journal, *, salvage: bool) -> bool:
    """False where another process holds it."""
    try:
        with Journal(path, salvage=salvage) as left:
            for number, trajectory in enumerate(left.episodes()):
                if key_of(trajectory) not in journal.keys:
                    journal.append(trajectory)
                if number % _AT_ONCE == 0:
                    journal.commit()
            journal.commit()
            with suppress(FileNotFoundError):
                path.unlink()  # held, so that nobody opens it to write meanwhile
    except JournalHeldError:
        return False
    return True
