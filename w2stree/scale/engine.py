"""Who calls the functions of a plan: this process, or whatever else can call a function.

An engine may call a function again with the same arguments, on another machine and while the first
call still runs: the functions leave whole files under fixed names, the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Engine(Protocol):
    """Calls a function of a module of this package with each arguments; the order is its own."""

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        """One None for each call that is done. Raises what a call raises."""
        ...


class LocalEngine:
    """One call after the other, in this process."""

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        for given in arguments:
            function(*given)
            yield


Opened = AbstractContextManager[Engine]
"""An engine for as long as it is used."""
