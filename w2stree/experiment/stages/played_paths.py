"""Paths that stages found by playing: their files, what they cost, and what failed."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from w2stree.errors import ExplorationFailure

PATHS_FILE = "paths.json"
FILES = ("trajectories.jsonl", PATHS_FILE)
"""The paths, and how each came about."""


class Found(Protocol):
    """What came of a task, whoever found it."""

    @property
    def num_steps(self) -> Mapping[str, int]:
        """Environment steps by what for."""

    @property
    def num_resets(self) -> int: ...

    @property
    def problem(self) -> str | None: ...


def cost(found: Sequence[Found], purposes: Sequence[str]) -> dict[str, float]:
    """Environment steps a task, mean and greatest, the mean by what for; and resets in all."""
    spent = [sum(path.num_steps.values()) for path in found]
    by_purpose: Counter[str] = Counter()
    for path in found:
        by_purpose.update(path.num_steps)
    num = max(1, len(found))
    return {
        "mean_steps_spent": sum(spent) / num,
        "max_steps_spent": max(spent, default=0),
        **{f"mean_steps_spent_on_{purpose}": by_purpose[purpose] / num for purpose in purposes},
        "num_resets": sum(path.num_resets for path in found),
    }


def num_by_kind(found: Sequence[Found], kinds: Mapping[str, str]) -> dict[str, float]:
    """How many tasks had each problem; `kinds` has the names of the figures. Other problems are
    the environment's errors."""
    counts = Counter(path.problem for path in found if path.problem is not None)
    return {
        **{name: counts[problem] for problem, name in kinds.items()},
        "num_environment_errors": sum(n for problem, n in counts.items() if problem not in kinds),
    }


def say_what_failed(
    outcome: str,
    problems: Sequence[tuple[str, str]],
    num_tasks: int,
    remedies: Mapping[str, str | None],
) -> None:
    """Warn of `problems`, each a task and why: "`outcome` of so many tasks", by kind. All but
    those of `remedies` are one kind.

    Raises `ExplorationFailure` where they are all tasks: there is nothing to learn from.
    """
    if not problems:
        return
    words = "\n".join(
        [
            f"{outcome.format(f'{len(problems)} of {num_tasks} tasks')}:",
            *_by_kind(problems, remedies),
        ]
    )
    if len(problems) == num_tasks:
        raise ExplorationFailure(f"{words}\nno path was made: mend the cause first")
    warnings.warn(words, stacklevel=3)


def _by_kind(problems: Sequence[tuple[str, str]], remedies: Mapping[str, str | None]) -> list[str]:
    first: dict[str, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    for task_id, problem in problems:
        kind = problem if problem in remedies else "error"
        first.setdefault(kind, (task_id, problem))
        counts[kind] += 1
    return [
        f"  {counts[kind]}: {problem} (the first one: {task_id})"
        + (f"; {remedy}" if (remedy := remedies.get(kind)) else "")
        for kind, (task_id, problem) in first.items()
    ]
