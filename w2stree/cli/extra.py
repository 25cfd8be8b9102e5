"""What a command needs beyond the base installation, and how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from w2stree.errors import not_imported


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports: an absent package is `MissingDependency` with the extra that brings it, an
    absent part of Python `UnsupportedSystem`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise not_imported(error, extra) from None
