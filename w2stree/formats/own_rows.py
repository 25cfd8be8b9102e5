"""Rows that w2stree wrote for a trainer, told from runs: they may lie in the folder of the logs.

w2stree paths logs/ -o logs/sft.jsonl    {"messages": …, "depth": 2, "status": "done", "source": …}

A run would be counted again by what was made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BESIDE: Mapping[str, tuple[frozenset[str], ...]] = {
    "pairs": (frozenset({"depth", "gap", "chosen_return", "rejected_return"}),),
    "pairs or paths": (frozenset({"depth", "gap", "mean_return", "num_runs"}),),
    "paths": (
        frozenset({"depth", "total_return", "status"}),
        frozenset({"mean_return", "least_return", "greatest_return"}),
    ),
    "advantages": (
        frozenset({"run", "step", "parent_advantage"}),
        frozenset({"run", "depth", "step_advantages"}),
    ),
}
"""By command, of each kind of its rows what no run has; of `rows.columns.BESIDE`."""


def written_by(record: Any) -> str | None:
    """The command that wrote this row; None for what is no row of ours."""
    if not isinstance(record, Mapping) or "steps" in record:
        return None
    names = record.keys()
    if not {"task_id", "source"} <= names:
        return None
    return next((c for c, kinds in _BESIDE.items() if any(k <= names for k in kinds)), None)
