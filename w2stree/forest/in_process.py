"""What lives in the memory of one process, in the core."""

from __future__ import annotations

from typing import NoReturn, Self


class InProcess:
    """Frozen, so that a copy is itself; not pickled."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} is not pickled: it lives in the core's memory; "
            "forest.save(path) in this process, and open_forest(path) in the other one"
        )
