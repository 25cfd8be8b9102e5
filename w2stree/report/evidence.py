"""Why it came out so: what was trained on, how training went, where a method won and lost.

All of it is data: `experiment/stages/evidence.py` gathers it, templates and `why.py` tell it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Training:
    """A method's training: its figures, and what the trainer logged of each step."""

    method: str
    metrics: Mapping[str, Any]
    steps: Sequence[Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """A method against another one on a panel's tasks, task by task."""

    panel: str
    method: str
    other: str
    num_won: int
    num_lost: int
    num_even: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One side of an example: how an episode went, and its steps from the first that differs."""

    method: str
    total_return: float
    status: str
    num_steps: int
    steps: Sequence[tuple[str, str]]
    """(action, answer), shortened: they begin after `Example.num_shared` steps."""
    num_more: int
    """Steps after those shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A task that a method won, or lost, against the model that it was trained from."""

    outcome: Literal["won", "lost"]
    panel: str
    task_id: str
    statement: str
    num_shared: int
    """Steps that both took, with the same answers."""
    before: Played
    after: Played


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """A preference row in full, as a model is trained on it; texts with who said them."""

    task_id: str
    node: int | None
    """Of the forest: where the sides part. None where whole runs are compared, in no tree."""
    depth: int
    gap: float
    chosen_return: float
    rejected_return: float
    num_chosen: int
    num_rejected: int
    prompt: Sequence[tuple[str, str]]
    chosen: Sequence[tuple[str, str]]
    rejected: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ShownRows:
    """Rows drawn from all that a method found."""

    method: str
    num_found: int
    rows: Sequence[ShownRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedShare:
    """What failed runs give a method: of preference rows (`rows`) by whose shown runs failed, of
    imitated runs (`runs`) with their steps."""

    method: str
    kind: Literal["rows", "runs"]
    num_all: int
    num_failed: int
    """Rows with a failed run on a side; imitated runs that failed."""
    num_both_failed: int = 0
    """Rows of two failed runs: one did better than the other."""
    num_steps: int = 0
    num_failed_steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAccuracy:
    """How often a model's implicit reward ranks pairs of held-out tasks rightly (`w2stree analyse
    assumption`), before training and after; with 95 % intervals over tasks."""

    before: str
    after: str
    kind: str
    """Which pairs: of single steps ("step") or of all that follows ("suffix")."""
    num_rows: int
    num_tasks: int
    accuracy_before: tuple[float, float, float]
    """Mean, low, high."""
    accuracy_after: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """Of the contrasts that the forest asserts, what playing on from both actions bore out."""

    num_contrasts: int
    confirmed_share: float | None
    reversed_share: float | None
    undecided_share: float | None
    by_chance_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it; what a run did not measure is empty or None."""

    trainings: Sequence[Training] = ()
    contests: Sequence[Contested] = ()
    examples: Sequence[Example] = ()
    rows: ShownRows | None = None
    failures: Sequence[FailedShare] = ()
    pair_accuracy: Sequence[PairAccuracy] = ()
    causes: Causes | None = None

    @property
    def is_empty(self) -> bool:
        return self == Evidence()

    def between(self, panel: str, method: str, other: str) -> Contested | None:
        """What the one did against the other there; None where nobody asked."""
        return next(
            (
                found
                for found in self.contests
                if (found.panel, found.method, found.other) == (panel, method, other)
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class Advice:
    """Something to do next: why, and the command that does it, to be copied as it stands; "" where
    no command does."""

    why: str
    command: str = ""
