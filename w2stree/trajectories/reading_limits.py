"""How much a file may ask of whoever reads it: far beyond any run, well below most memories.

    a line, a member of a zip   256 MiB   a few kilobytes of a packed file may hold more
    a whole JSON text             1 GiB   a .json is in memory at once, at several times its size
    steps of a run            1 million
    runs in all              10 million   a table's row may stand for millions of equal ones

How deep a record may be nested is no choice (`fields.MAX_LEVELS`): what is read has to be written
again, and JSON's readers end not far beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLimits:
    """What is larger is refused, by its place and with the name of the limit.

    `line_mib`: MiB of a line, or of a member of a zip, unpacked. `json_mib`: MiB of a text that is
    one JSON value (`.json`). `steps`: of a run. `runs`: of all files that are read together, but
    for journals, which this package writes itself.

    Raises `InvalidInput` for what is no whole number above 0.
    """

    line_mib: int = 256
    json_mib: int = 1_024
    steps: int = 1_000_000
    runs: int = 10_000_000

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidInput(
                    f"the limit {name} is {value!r}; give a whole number of at least 1"
                )

    @property
    def line_bytes(self) -> int:
        return self.line_mib << 20

    @property
    def json_bytes(self) -> int:
        return self.json_mib << 20

    def hold(self, num_runs: int, step_offset: NDArray[np.int64]) -> bool:
        """Whether so many runs are allowed, and so long ones."""
        lengths = np.diff(step_offset)
        return num_runs <= self.runs and (not len(lengths) or int(lengths.max()) <= self.steps)

    def refuse_long(self, num_steps: int, where: str) -> None:
        """Raises `InvalidInput`, beginning with `where`, for a run of so many steps."""
        if num_steps > self.steps:
            raise InvalidInput(f"{where}: {self.over('steps', 'a run of more than {} steps')}")

    def over(self, name: str, what: str) -> str:
        """`what` there is more of than one may have: "a line of more than 256 MiB", and how it is
        read all the same."""
        value = getattr(self, name)
        amount = f"{value:,} MiB" if name.endswith("_mib") else f"{value:,}"
        return (
            f"{what.format(amount)}, the limit {name}: raise it to read it (--allow {name}=N, "
            f"limits=ReadingLimits({name}=N))"
        )


DEFAULT = ReadingLimits()
_NAMES = tuple(field.name for field in fields(ReadingLimits))


def limits_of(given: Iterable[str]) -> ReadingLimits:
    """The limits of texts like `steps=2000000`, the others as usual.

    Raises `InvalidInput` for a limit that there is not, and for what is no whole number.
    """
    chosen: dict[str, int] = {}
    for text in given:
        name, _, number = text.partition("=")
        if name not in _NAMES or not number:
            raise InvalidInput(f"allow {text!r}: give NAME=N; the names are {', '.join(_NAMES)}")
        try:
            chosen[name] = int(number)
        except ValueError:
            raise InvalidInput(
                f"allow {text!r}: {number!r} is no whole number of at least 1"
            ) from None
    return ReadingLimits(**chosen)
