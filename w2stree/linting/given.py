"""What rules look into: records that were read, each with its place, and those that could not be.

rows.jsonl ──read──> Preferences(rows, places)     refused  rows.jsonl:7: chosen has no turn …
runs/      ──read──> Runs ──forest──> Preferences
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from w2stree.errors import InvalidInput
from w2stree.rows.conversations import conversation, preference_row
from w2stree.rows.rows import PreferenceRow
from w2stree.rows.token_rows import LabelledRow, token_row
from w2stree.shorten import quoted
from w2stree.trajectories.trajectory import Step, Trajectory

T = TypeVar("T")
Record = Mapping[str, Any]

_SHOWN_TASK = 200  # whole, to be copied


@dataclass(frozen=True)
class Given(Generic[T]):
    """Records, where each stands, and what each said beside itself (None: it was made here)."""

    items: Sequence[T]
    places: Sequence[str]
    records: Sequence[Record | None]
    unit: str
    files: Sequence[str] = ()
    """Which file each is of, where several were given."""

    def __len__(self) -> int:
        return len(self.items)

    def where(self, holds: Callable[[T], bool]) -> list[str]:
        """The places of those of which it holds."""
        return [p for item, p in zip(self.items, self.places, strict=True) if holds(item)]

    def says(self, i: int, field: str) -> bool:
        """Whether record i itself has this field; what is made here has all."""
        record = self.records[i]
        return record is None or record.get(field) is not None

    def answered(self, i: int, turns: Sequence[Step]) -> Sequence[Step]:
        """Those of record i's turns whose answers stand in it: the last one's in no row that is
        made here, but in some that others wrote."""
        return turns[:-1] if self.records[i] is None else turns


Preferences = Given[PreferenceRow]
Conversations = Given[Trajectory]
Tokens = Given[LabelledRow]


@dataclass(frozen=True)
class Runs(Given[Trajectory]):
    """Of all tasks, error rows among them."""

    has_texts: bool = True
    """Whether prompts and responses could be there; a forest from a file keeps none."""

    @cached_property
    def finished(self) -> Given[Trajectory]:
        """Without error rows."""
        kept = [i for i, run in enumerate(self.items) if run.status != "error"]
        return Given(
            [self.items[i] for i in kept],
            [self.places[i] for i in kept],
            [self.records[i] for i in kept],
            self.unit,
        )

    @cached_property
    def by_task(self) -> dict[str, list[int]]:
        """Indices into `finished`."""
        tasks: dict[str, list[int]] = defaultdict(list)
        for i, run in enumerate(self.finished.items):
            tasks[run.task_id].append(i)
        return dict(tasks)

    def tasks_where(self, holds: Callable[[list[Trajectory]], bool]) -> list[str]:
        """Tasks, as places, of whose finished runs it holds."""
        runs = self.finished.items
        return [shown(t) for t, of in self.by_task.items() if holds([runs[i] for i in of])]


def shown(task_id: str) -> str:
    """A task as a place."""
    return f"task {quoted(task_id, _SHOWN_TASK)}"


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that training refuses, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Records:
    """Rows as they were read, before anybody made sense of them."""

    items: Sequence[Record]
    places: Sequence[str]
    files: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.items)


def preferences_of(records: Records) -> tuple[Preferences, list[Refused]]:
    """As `w2stree train dpo` reads them."""
    return _read(records, preference_row, "preference rows")


def conversations_of(records: Records) -> tuple[Conversations, list[Refused]]:
    """As `w2stree train sft` reads them."""
    return _read(records, conversation, "conversations")


def tokens_of(records: Records, vocabulary: int | None) -> tuple[Tokens, list[Refused]]:
    """Likewise; `vocabulary` as in `token_row`."""

    def read(record: Record, place: str) -> LabelledRow:
        return token_row(record, place, vocabulary=vocabulary)

    return _read(records, read, "token rows")


def _read(
    given: Records, read: Callable[[Record, str], T], unit: str
) -> tuple[Given[T], list[Refused]]:
    records, places, files = given.items, given.places, given.files
    items: list[T] = []
    kept: list[int] = []
    refused: list[Refused] = []
    for i, (record, place) in enumerate(zip(records, places, strict=True)):
        try:
            items.append(read(record, place))
        except InvalidInput as error:
            reason = str(error).removeprefix(place).lstrip(": ")
            refused.append(Refused(place, reason))
        else:
            kept.append(i)
    return (
        Given(
            items,
            [places[i] for i in kept],
            [records[i] for i in kept],
            unit,
            [files[i] for i in kept] if files else (),
        ),
        refused,
    )


Said = tuple[tuple[str, str, str], ...]


def said(steps: Sequence[Step]) -> Said:
    """What is in a row of consecutive turns; the last answer is in none."""
    texts = [(step.action, step.response, step.observation) for step in steps]
    if texts:
        texts[-1] = (*texts[-1][:2], "")
    return tuple(texts)
