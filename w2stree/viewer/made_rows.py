"""Preference rows that were made of a forest (`w2stree pairs`), at the nodes where they were made.

{"task_id": "cook/3", "divergence": 17, "depth": 4, "gap": 0.5, "chosen": …, "rejected": …}
                       └ the node: of that task, at that depth, or they are of another forest
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.forest.forest import Forest
from w2stree.viewer.text_table import TextTable

_FIELDS = ("task_id", "divergence", "depth", "gap", "chosen", "rejected")
_OF_WHOLE_RUNS = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRow:
    """A row, and where it stands ("rows.jsonl:3"). `node` is -1 where whole runs are compared."""

    place: str
    task_id: str
    node: int
    depth: int
    gap: float
    chosen: str
    rejected: str


def made_row(record: Mapping[str, Any], place: str) -> MadeRow:
    """A record of a file of rows. Raises `InvalidInput` where it does not say what it was made of,
    as rows that another program has written do not."""
    if missing := [name for name in _FIELDS if record.get(name) is None]:
        raise InvalidInput(
            f"{place}: has no {missing[0]}, so nobody can tell where it was made; give rows that "
            "`w2stree pairs` wrote with their columns"
        )
    try:
        return MadeRow(
            place=place,
            task_id=str(record["task_id"]),
            node=_whole(record["divergence"]),
            depth=_whole(record["depth"]),
            gap=float(record["gap"]),
            chosen=_side(record["chosen"]),
            rejected=_side(record["rejected"]),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise InvalidInput(f"{place}: is no preference row of w2stree ({error!r})") from None


def row_columns(
    forest: Forest, rows: Sequence[MadeRow], texts: TextTable
) -> dict[str, NDArray[Any]]:
    """By row `row_node row_gap row_place row_chosen row_rejected`. Raises `InvalidInput` for rows
    of another forest."""
    nodes = [_node_of(forest, row) for row in rows]
    return {
        "row_node": np.array(nodes, np.uint32),
        "row_gap": np.array([row.gap for row in rows], np.float64),
        "row_place": texts.numbers(row.place for row in rows),
        "row_chosen": texts.numbers(row.chosen for row in rows),
        "row_rejected": texts.numbers(row.rejected for row in rows),
    }


def _node_of(forest: Forest, row: MadeRow) -> int:
    if row.task_id not in forest:
        raise InvalidInput(f"{row.place}: task {row.task_id!r} has no tree in this forest")
    tree = forest[row.task_id]
    if row.node == _OF_WHOLE_RUNS:
        return tree.root
    is_there = tree.root <= row.node < int(forest.subtree_end[tree.root])
    if not is_there or int(forest.depth[row.node]) != row.depth:
        raise InvalidInput(
            f"{row.place}: was made at node {row.node}, {row.depth} steps into task "
            f"{row.task_id!r}, and this forest has another node there: give the runs that the rows "
            "were made of, merged by the same rule"
        )
    return row.node


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise TypeError(f"{number!r} is no whole number")
    return number


def _side(side: Any) -> str:
    """The text of a side; of messages those of the agent."""
    if isinstance(side, str):
        return side
    return "\n\n".join(message["content"] for message in side if message["role"] == "assistant")
