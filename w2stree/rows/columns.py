"""What a row has beside it in every trainer's layout, and the columns of a table of rows.

a row       PreferenceRow │ JudgedRow │ QuestionRow │ Trajectory │ TurnCredit │ TokenRow
a table     prompt  chosen  rejected │ task_id  depth  gap  …  source
            └ the trainer's own ───┘   └ to filter and to trace ┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeAlias

from w2stree.rows.chat import Passages
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
"""`messages` are given as `Passages`, `message` as such of single messages."""
Type: TypeAlias = "Plain | Mapping[str, Type]"
"""Of a column; a mapping is a structure, given as a dict of the same keys."""

Ids: TypeAlias = "Mapping[str, list[int] | list[float]]"
"""Of one row, by name: token ids, masks, weights."""

Sources = Callable[[Trajectory], str]
"""Where a run comes from, in words."""


class Column(NamedTuple):
    name: str
    type: Type
    get: Callable[[Shown], Any]
    """Of `Shown` rows: `Passages`, or a value a row."""


class Shown(NamedTuple):
    """Rows of one kind with all that columns may show of them, an element a row."""

    rows: Sequence[Any]
    """`PreferenceRow`, `JudgedRow`, …: a row of tokens is given as what it is of."""
    passages: tuple[Passages, ...]
    """Of preferences prompt, chosen, rejected; of judged rows and of turns with their advantages
    prompt, completion; else all. The runs of the first one say what the task is."""
    sources: Sequence[list[str]]
    numbers: Sequence[int]
    """Of each row, from 0, those left out counted."""
    ids: Sequence[Ids]
    """Of rows of tokens; of others none."""

    def select(self, rows: Sequence[int]) -> Shown:
        """These of the rows."""
        return Shown(
            [self.rows[i] for i in rows],
            tuple(passages.select(rows) for passages in self.passages),
            [self.sources[i] for i in rows],
            [self.numbers[i] for i in rows],
            [self.ids[i] for i in rows] if self.ids else (),
        )


def each(name: str) -> Callable[[Shown], list[Any]]:
    """An attribute of each row, by its name."""
    get = attrgetter(name)
    return lambda shown: list(map(get, shown.rows))


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


_SOURCE = Column("source", "texts", lambda shown: shown.sources)
_PREFERENCE: tuple[Column, ...] = (
    Column("task_id", "text", each("chosen.task_id")),
    Column("divergence", "integer", each("divergence")),
    Column("depth", "integer", each("begin")),
    Column("gap", "number", each("gap")),
    Column("chosen_return", "number", each("chosen_return")),
    Column("rejected_return", "number", each("rejected_return")),
    Column("num_chosen", "integer", each("num_chosen")),
    Column("num_rejected", "integer", each("num_rejected")),
    _SOURCE,
)
_DEMONSTRATION: tuple[Column, ...] = (
    Column("task_id", "text", each("task_id")),
    Column("depth", "integer", lambda shown: [len(run.steps) for run in shown.rows]),
    Column("total_return", "number", each("total_return")),
    Column("status", "text", each("status")),
    _SOURCE,
)
BESIDE: Mapping[Kind, tuple[Column, ...]] = {
    "preference": _PREFERENCE,
    "preference_tokens": _PREFERENCE,
    "messages": _DEMONSTRATION,
    "tokens": _DEMONSTRATION,
    "judged": (
        Column("task_id", "text", each("run.task_id")),
        Column("depth", "integer", each("begin")),
        Column("gap", "number", each("gap")),
        Column("mean_return", "number", each("mean_return")),
        Column("num_runs", "integer", each("num_runs")),
        _SOURCE,
    ),
    "question": (
        Column("task_id", "text", each("run.task_id")),
        Column("num_runs", "integer", each("num_runs")),
        Column("mean_return", "number", each("mean_return")),
        Column("least_return", "number", each("least_return")),
        Column("greatest_return", "number", each("greatest_return")),
        _SOURCE,
    ),
    "advantage": (
        Column("task_id", "text", each("run.task_id")),
        Column("run", "integer", each("number")),
        Column("step", "integer", each("step")),
        Column("node", "integer", each("node")),
        Column("parent_advantage", "number", each("parent")),
        Column("group_advantage", "number", each("group")),
        Column("leave_one_out_advantage", "number", each("leave_one_out")),
        Column("num_runs", "integer", each("num_runs")),
        Column("num_alike", "integer", each("num_alike")),
        Column("total_return", "number", each("run.total_return")),
        _SOURCE,
    ),
    "advantage_tokens": (
        Column("task_id", "text", each("run.task_id")),
        Column("run", "integer", each("number")),
        Column("depth", "integer", lambda shown: [len(row.run.steps) for row in shown.rows]),
        Column(
            "step_advantages", "numbers", lambda shown: [list(row.values) for row in shown.rows]
        ),
        Column("num_runs", "integer", each("num_runs")),
        Column("total_return", "number", each("run.total_return")),
        _SOURCE,
    ),
}
"""By kind: the same in every layout, so that rows can be filtered, weighed and traced. The `depth`
of a whole run is the number of its turns."""
