"""The place of a record, put in front of what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from w2stree.errors import InvalidInput


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Whatever is refused within begins with `where`."""
    try:
        yield
    except InvalidInput as error:
        if str(error).startswith(where):
            raise
        raise InvalidInput(f"{where}: {error}") from None
