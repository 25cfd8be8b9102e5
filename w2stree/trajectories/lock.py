"""The system's lock of a file (`flock`): one holder at a time, until it closes the file or ends.

Windows has none of this kind. There nothing is written that two processes must not write at once:
`take` and `refuse_without` say so, and whatever only reads, or writes whole files, works.
"""

from __future__ import annotations

import sys
from io import FileIO
from typing import IO, Any

from w2stree.errors import UnsupportedSystem

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


def refuse_without(what: str) -> None:
    """Raises `UnsupportedSystem` where this system has no such lock, which `what` needs."""
    if fcntl is None:
        raise UnsupportedSystem(
            f"{what} needs the file locks of Linux and macOS (Python's fcntl), which this system "
            f"({sys.platform}) does not have; on Windows, run it in WSL"
        )


def take(file: FileIO | IO[Any], *, wait: bool = False) -> None:
    """Hold an open file for this process.

    Raises `BlockingIOError` where another holds it, unless `wait`, and `UnsupportedSystem`.
    """
    refuse_without(str(file.name))
    fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
