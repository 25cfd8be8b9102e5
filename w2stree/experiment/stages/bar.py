"""How a stage says how far it is. It never draws: whoever runs the experiment does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

T = TypeVar("T")


class Update(Protocol):
    """Told of progress: `done` of `total`, and figures (a loss, turns without an action)."""

    def __call__(self, done: int, total: int, metrics: Mapping[str, float], /) -> None: ...


class Bar(Protocol):
    """Shows progress under a name, `what`: a stage and what it counts, `tree_dpo steps`."""

    def __call__(self, items: Iterable[T], *, total: int, what: str) -> Iterable[T]:
        """Pass the items on and count them."""
        ...

    def steps(self, what: str) -> AbstractContextManager[Update]:
        """Show what the function is told, until the block ends."""
        ...


class Silent:
    """The `Bar` that shows nothing."""

    def __call__(self, items: Iterable[T], *, total: int, what: str) -> Iterable[T]:
        return items

    def steps(self, what: str) -> AbstractContextManager[Update]:
        return nullcontext(lambda done, total, metrics: None)
