"""How a stage says how far it is. It never draws: whoever runs the experiment does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

T = TypeVar("T")


Figures = Mapping[str, object]
"""What is known so far, as far as it is: `loss`, `success` (a share), `mean_return`, `num_errors`,
their commonest `cause`, all `causes` (a count each), `num_unparsed` (turns without an action),
`num_tokens`, and whatever else somebody counts. docs/watching.md has them all."""


class Update(Protocol):
    """Told of progress: `done` of `total`, and figures."""

    def __call__(self, done: int, total: int, metrics: Figures, /) -> None: ...


class Line(Protocol):
    """Told of progress in words."""

    def __call__(self, done: int, total: int, words: str, /) -> None: ...


class Bar(Protocol):
    """Shows progress under a name, `what`: a stage and what it counts, `tree_dpo steps`."""

    def __call__(self, items: Iterable[T], *, total: int, what: str) -> Iterable[T]:
        """Pass the items on and count them."""
        ...

    def steps(self, what: str) -> AbstractContextManager[Update]:
        """Show what the function is told, until the block ends."""
        ...

    def line(self, what: str) -> AbstractContextManager[Line]:
        """Show `done` of `total` and some words, until the block ends: of what goes at no pace,
        such as the stages of a run."""
        ...


class Silent:
    """The `Bar` that shows nothing."""

    def __call__(self, items: Iterable[T], *, total: int, what: str) -> Iterable[T]:
        return items

    def steps(self, what: str) -> AbstractContextManager[Update]:
        return nullcontext(lambda done, total, metrics: None)

    def line(self, what: str) -> AbstractContextManager[Line]:
        return nullcontext(lambda done, total, words: None)
