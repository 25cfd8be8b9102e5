"""What an environment process may take before it is killed or replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from w2stree.errors import InvalidInput
from w2stree.trajectories.field_types import check_field_types


@dataclass(frozen=True, slots=True)
class Limits:
    """`deadline_s` and `start_deadline_s`: seconds to answer a request and to come up, finite and
    above 0.

    `memory_limit_mb`: MiB of resident memory of the process with all it starts, a JVM included.
    `max_episodes`: episodes before a fresh process takes its place. Both at least 1; None: no
    limit. Raises `InvalidInput` for a value out of range.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    deadline_s: float = 60.0
    start_deadline_s: float = 300.0
    memory_limit_mb: int | None = None
    max_episodes: int | None = None

    def __post_init__(self) -> None:
        check_field_types(self)
        for name in ("deadline_s", "start_deadline_s"):
            seconds = getattr(self, name)
            if not 0 < seconds < float("inf"):
                raise InvalidInput(f"{name} is {seconds}; give a finite number above 0")
        for name in ("memory_limit_mb", "max_episodes"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise InvalidInput(f"{name} is {count}; give at least 1, or null for no limit")
