"""What a command needs beyond the base installation, and how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from w2stree.errors import MissingDependency


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports: an absent package is `MissingDependency` with the extra that brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{error.name} is not installed: pip install 'w2stree[{extra}]'"
        ) from None
