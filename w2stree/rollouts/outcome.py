"""How an exploration ended: what failed, why, and how to go on, as figures and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2stree.rollouts.causes import Cause
from w2stree.rollouts.samples import Sample
from w2stree.shorten import shorten

_SHOWN_CAUSES = 5
_SHOWN_TASKS = 5
_SHOWN_COLUMNS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`num_errors` of the journal's `num_attempts` were errors, by `causes`, the commonest first.

    Of the `num_planned` samples `num_finished` are finished; `num_unbegun` episodes were before
    their first turn, since the model could not read their opening. `failed` were tried and never
    finished, `out_of_attempts` of these are not tried again; `num_open` are to be played yet.
    `next_max_attempts` would try all that failed once more.
    """

    num_attempts: int
    num_errors: int
    causes: tuple[Cause, ...]
    num_planned: int
    num_finished: int
    num_unbegun: int
    failed: tuple[Sample, ...]
    out_of_attempts: tuple[Sample, ...]
    num_open: int
    next_max_attempts: int

    @property
    def is_well(self) -> bool:
        """Something was played to its end, and no errors remain."""
        return not self.failed and not (self.is_empty and self.num_planned)

    @property
    def is_empty(self) -> bool:
        """Nothing was played to its end."""
        return self.num_finished <= self.num_unbegun

    def in_words(self, key: str = "max_attempts") -> list[str]:
        """Lines, none where nothing failed, all was played and nothing remains; `key` is the
        setting that allows more attempts."""
        lines: list[str] = []
        if self.num_errors:
            lines += [
                f"{self.num_errors} of {self.num_attempts} attempts ended in an error:",
                *causes_in_words(self.causes, self.num_errors),
            ]
        if self.num_unbegun:
            lines.append(
                f"{self.num_unbegun} episodes ended before their first turn: with what a turn may "
                "take, their opening is longer than the model can read; they are not played again"
            )
        lines += self.given_up(key)
        if self.num_open:
            num_tried = len(self.failed) - len(self.out_of_attempts)
            lines.append(
                f"{self.num_open} of {self.num_planned} samples remain to be played"
                + (f", {num_tried} of them again after an error" if num_tried else "")
            )
        return lines

    def given_up(self, key: str = "max_attempts") -> list[str]:
        """Which samples are not tried again, and how they would be; none: no line."""
        if not self.out_of_attempts:
            return []
        return [
            f"{len(self.out_of_attempts)} of {self.num_planned} samples are out of attempts: "
            f"{_by_task(self.out_of_attempts)}",
            f"the same command with {key}={self.next_max_attempts} tries them again",
        ]


def causes_in_words(causes: Sequence[Cause], num_errors: int) -> list[str]:
    """A line for each of the commonest, and one for the others."""
    shown = causes[:_SHOWN_CAUSES]
    lines = [f"{cause.count:>6}  {shorten(cause.example, _SHOWN_COLUMNS)}" for cause in shown]
    num_others = num_errors - sum(cause.count for cause in shown)
    return [*lines, f"{num_others:>6}  of other causes"] if num_others else lines


def _by_task(samples: Sequence[Sample]) -> str:
    """twc/train/3 (0, 2), twc/train/8 (1) and of 3 more tasks"""
    indices: dict[str, list[int]] = {}
    for task_id, index in samples:
        indices.setdefault(task_id, []).append(index)
    shown = [
        f"{shorten(task_id, _SHOWN_COLUMNS)} ({', '.join(map(str, numbers))})"
        for task_id, numbers in list(indices.items())[:_SHOWN_TASKS]
    ]
    num_more = len(indices) - len(shown)
    more = f" and of {num_more} more task{'' if num_more == 1 else 's'}" if num_more else ""
    return f"{', '.join(shown)}{more}"
