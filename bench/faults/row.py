"""A row of the table of faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A fault, how often it was tried, how often each thing went wrong."""

    fault: str
    num_tried: int
    wrong: Mapping[str, int]
    note: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing went wrong."""
        return not any(self.wrong.values())

    def __str__(self) -> str:
        counts = ", ".join(f"{int(number)} {what}" for what, number in self.wrong.items())
        text = f"{self.fault:<44}{self.num_tried:>12,}  {counts}"
        return f"{text} ({self.note})" if self.note else text
