"""What a row has beside it in every trainer's layout, and the columns of a table of rows.

a row       PreferenceRow │ JudgedRow │ QuestionRow │ Trajectory │ TurnCredit │ TokenRow
a table     prompt  chosen  rejected │ task_id  depth  gap  …  source
            └ the trainer's own ───┘   └ to filter and to trace ┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeAlias

from w2stree.rows.chat import Passage
from w2stree.rows.credit import RunCredit, TurnCredit
from w2stree.rows.judged import JudgedRow
from w2stree.rows.questions import QuestionRow
from w2stree.rows.rows import PreferenceRow
from w2stree.trajectories.trajectory import Trajectory

Kind = Literal[
    "preference",
    "judged",
    "question",
    "messages",
    "tokens",
    "preference_tokens",
    "advantage",
    "advantage_tokens",
]

Plain = Literal[
    "messages", "message", "text", "texts", "integer", "integers", "number", "numbers", "truth"
]
"""`messages` is given as a `Passage`, `message` as one of a single message."""
Type: TypeAlias = "Plain | Mapping[str, Type]"
"""Of a column; a mapping is a structure, given as a dict of the same keys."""

Ids: TypeAlias = "Mapping[str, list[int] | list[float]]"
"""Of one row, by name: token ids, masks, weights."""

Sources = Callable[[Trajectory], str]
"""Where a run comes from, in words."""


class Column(NamedTuple):
    name: str
    type: Type
    get: Callable[[Any], Any]
    """Of a `Shown` row."""


class Shown(NamedTuple):
    """A row with all that a column may show of it."""

    row: PreferenceRow | JudgedRow | QuestionRow | Trajectory | TurnCredit | RunCredit
    passages: tuple[Passage, ...]
    """Of a preference prompt, chosen, rejected; of a judged row and of a turn with its advantages
    prompt, completion; else all."""
    source: list[str]
    number: int
    """Of the row, from 0."""
    ids: Ids
    """Of rows of tokens; else empty."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """Token ids and masks (`tokenized`), and the row that they are of."""

    ids: Ids
    row: PreferenceRow | Trajectory | RunCredit


AnyRow: TypeAlias = "PreferenceRow | JudgedRow | QuestionRow | Trajectory | TurnCredit | TokenRow"


def kind_of(row: AnyRow) -> Kind | None:
    """None for what is no row."""
    if type(row) is TokenRow:
        return _OF_TOKENS[type(row.row)]
    return _KINDS.get(type(row))


_KINDS: Mapping[type, Kind] = {
    PreferenceRow: "preference",
    JudgedRow: "judged",
    QuestionRow: "question",
    Trajectory: "messages",
    TurnCredit: "advantage",
}
_OF_TOKENS: Mapping[type, Kind] = {
    PreferenceRow: "preference_tokens",
    Trajectory: "tokens",
    RunCredit: "advantage_tokens",
}


def runs_of(row: AnyRow | RunCredit) -> tuple[Trajectory, ...]:
    """Those whose texts a row shows, the chosen one first."""
    if isinstance(row, PreferenceRow):
        return row.chosen, row.rejected
    if isinstance(row, TokenRow):
        return runs_of(row.row)
    return (row,) if isinstance(row, Trajectory) else (row.run,)


_PREFERENCE: tuple[Column, ...] = (
    Column("task_id", "text", attrgetter("row.chosen.task_id")),
    Column("divergence", "integer", attrgetter("row.divergence")),
    Column("depth", "integer", attrgetter("row.begin")),
    Column("gap", "number", attrgetter("row.gap")),
    Column("chosen_return", "number", attrgetter("row.chosen_return")),
    Column("rejected_return", "number", attrgetter("row.rejected_return")),
    Column("num_chosen", "integer", attrgetter("row.num_chosen")),
    Column("num_rejected", "integer", attrgetter("row.num_rejected")),
    Column("source", "texts", attrgetter("source")),
)
_DEMONSTRATION: tuple[Column, ...] = (
    Column("task_id", "text", attrgetter("row.task_id")),
    Column("depth", "integer", lambda s: len(s.row.steps)),
    Column("total_return", "number", attrgetter("row.total_return")),
    Column("status", "text", attrgetter("row.status")),
    Column("source", "texts", attrgetter("source")),
)
BESIDE: Mapping[Kind, tuple[Column, ...]] = {
    "preference": _PREFERENCE,
    "preference_tokens": _PREFERENCE,
    "messages": _DEMONSTRATION,
    "tokens": _DEMONSTRATION,
    "judged": (
        Column("task_id", "text", attrgetter("row.run.task_id")),
        Column("depth", "integer", attrgetter("row.begin")),
        Column("gap", "number", attrgetter("row.gap")),
        Column("mean_return", "number", attrgetter("row.mean_return")),
        Column("num_runs", "integer", attrgetter("row.num_runs")),
        Column("source", "texts", attrgetter("source")),
    ),
    "question": (
        Column("task_id", "text", attrgetter("row.run.task_id")),
        Column("num_runs", "integer", attrgetter("row.num_runs")),
        Column("mean_return", "number", attrgetter("row.mean_return")),
        Column("least_return", "number", attrgetter("row.least_return")),
        Column("greatest_return", "number", attrgetter("row.greatest_return")),
        Column("source", "texts", attrgetter("source")),
    ),
    "advantage": (
        Column("task_id", "text", attrgetter("row.run.task_id")),
        Column("run", "integer", attrgetter("row.number")),
        Column("step", "integer", attrgetter("row.step")),
        Column("node", "integer", attrgetter("row.node")),
        Column("parent_advantage", "number", attrgetter("row.parent")),
        Column("group_advantage", "number", attrgetter("row.group")),
        Column("leave_one_out_advantage", "number", attrgetter("row.leave_one_out")),
        Column("num_runs", "integer", attrgetter("row.num_runs")),
        Column("num_alike", "integer", attrgetter("row.num_alike")),
        Column("total_return", "number", attrgetter("row.run.total_return")),
        Column("source", "texts", attrgetter("source")),
    ),
    "advantage_tokens": (
        Column("task_id", "text", attrgetter("row.run.task_id")),
        Column("run", "integer", attrgetter("row.number")),
        Column("depth", "integer", lambda s: len(s.row.run.steps)),
        Column("step_advantages", "numbers", lambda s: list(s.row.values)),
        Column("num_runs", "integer", attrgetter("row.num_runs")),
        Column("total_return", "number", attrgetter("row.run.total_return")),
        Column("source", "texts", attrgetter("source")),
    ),
}
"""By kind: the same in every layout, so that rows can be filtered, weighed and traced. The `depth`
of a whole run is the number of its turns."""
