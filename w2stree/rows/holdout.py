"""Whole tasks kept out of training, to measure on what was not trained on.

    rows    a a b c c c d     tasks held out: c      train  a a b d     measure  c c c

Rows of one task share their prompts and their histories: a row of a trained task measures memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from w2stree.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Holdout:
    """Which rows are for measuring. `is_held_out` has a truth value a row."""

    is_held_out: tuple[bool, ...]
    num_tasks: int
    num_held_out_tasks: int
    share: float

    def in_words(self) -> str:
        """What is held out, or why nothing is."""
        if self.num_held_out_tasks:
            count = sum(self.is_held_out)
            return (
                f"{self.num_held_out_tasks} of {self.num_tasks} tasks ({count} rows) are held out "
                "to measure on"
            )
        if not self.share:
            return "no task is held out"
        if not self.num_tasks:
            return "no task is held out: there is none; give runs, of the tasks that rows are of"
        if self.num_tasks == 1:
            return (
                "no task is held out: there is only one, and it is trained on; give runs of more "
                "tasks, or hold out none (holdout=0, --holdout 0)"
            )
        enough = math.ceil(100 / self.num_tasks) / 100
        return (
            f"no task is held out: {self.share:g} of {self.num_tasks} tasks is less than one; "
            f"holdout={enough:g} holds out one"
        )


def hold_out(tasks: Sequence[Hashable], share: float, *, seed: int) -> Holdout:
    """Choose `share` of the distinct tasks, rounded down; `tasks` has each row's.

    A task is what the agent is asked: rows with equal prompts are of one task, whatever their ids.
    Which are chosen depends on the tasks and the seed alone, not on the order or number of rows.

    Raises `InvalidInput` unless `share` is in [0, 1).
    """
    refuse_no_share(share)
    distinct = sorted(set(tasks), key=lambda task: _rank(task, seed))
    chosen = set(distinct[: int(share * len(distinct) + 1e-9)])
    return Holdout(tuple(task in chosen for task in tasks), len(distinct), len(chosen), share)


def refuse_no_share(share: float) -> None:
    """Raises `InvalidInput` unless `share` is in [0, 1)."""
    if not 0.0 <= share < 1.0:
        raise InvalidInput(f"holdout is {share}; give a share of the tasks, at least 0, below 1")


def _rank(task: Hashable, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{task!r}".encode(errors="surrogatepass")).digest()
