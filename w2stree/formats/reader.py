"""What a format leaves open, chosen by the user or found by name; and a note of what was found.

reward   "info.score", 1.0, or a function of the record      total_return
task     "meta.uid", or a function of the record             task_id
prompt   3, or a function of the messages                    how many of them are the task's
action   "react", "turn", a pattern, or a function           what of a turn is its action
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted, shorten, visible
from w2stree.trajectories import fields
from w2stree.trajectories.origin import UNKNOWN, Origin
from w2stree.trajectories.trajectory import Message, Status

if TYPE_CHECKING:
    from w2stree.formats.conversation import Said

Record = Mapping[str, Any]

_SHOWN_COLUMNS = 100
_ID_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The user's, each None for what the format says or what is found.

    `reward`: the dotted name of a field of the record, a number for all, or a function of the
    record. `task`: a name or a function. `prompt`: how many messages are the task's, or a function
    of the messages that says so; else all before the assistant's first. `action` of a turn in
    words: "react" (`turns.react.logged_action`), "turn" (all of it), a regular expression whose
    first group is searched for (all of the match where it has none), or a function that returns
    None for none; else by run: "react" where half of its turns and more have such a line, "turn"
    elsewhere.

    Raises `InvalidInput` for what is none of these.
    """

    reward: str | float | Callable[[Record], float] | None = None
    task: str | Callable[[Record], str] | None = None
    prompt: int | Callable[[Sequence[Said]], int] | None = None
    action: str | re.Pattern[str] | Callable[[str], str | None] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.reward, int | float):
            fields.keep(self, "reward", fields.number)
        if isinstance(self.prompt, int) and (isinstance(self.prompt, bool) or self.prompt < 0):
            raise InvalidInput(f"prompt is {self.prompt}; give how many messages are the task's")
        if isinstance(self.action, str) and self.action not in _WAYS:
            try:
                object.__setattr__(self, "action", re.compile(self.action, re.DOTALL))
            except re.error as error:
                raise InvalidInput(
                    f"action is {quoted(self.action, _SHOWN_COLUMNS)}, no regular expression "
                    f"({error}); give one, or react, or turn"
                ) from None

    @property
    def are_any(self) -> bool:
        return any(getattr(self, name) is not None for name in self.__slots__)


_WAYS = ("react", "turn")


@dataclass(frozen=True, slots=True)
class Reader:
    """`choices`, and for each of "reward", "task", … how many runs had it from where (`found`)."""

    choices: Choices = field(default_factory=Choices)
    found: dict[str, Counter[str]] = field(default_factory=dict)
    _of_this_run: list[tuple[str, str]] = field(default_factory=list)

    def note(self, what: str, where: str) -> None:
        self.found.setdefault(what, Counter())[where] += 1
        self._of_this_run.append((what, where))

    def keep_notes(self) -> None:
        """The run of which they are counts."""
        self._of_this_run.clear()

    def forget_notes(self) -> None:
        """Those since a run counted: the one that they are of does not."""
        for what, where in self._of_this_run:
            self.found[what] -= Counter({where: 1})
            if not self.found[what]:
                del self.found[what]
        self._of_this_run.clear()

    def reward(
        self, record: Record, where: str, names: Sequence[str], *, status: Status = "done"
    ) -> float:
        """The run's return: as chosen, or the first of the fields `names` that has a number.

        Truths count 0 and 1. A run that ended in an error counts nowhere: without a number it has
        0. Raises `InvalidInput` with the fields that there are.
        """
        chosen = self.choices.reward
        if callable(chosen):
            self.note("reward", "a function")
            return _number(chosen(record), f"{where}: what reward= gave")
        if isinstance(chosen, int | float):
            self.note("reward", f"{chosen:g} for all")
            return float(chosen)
        for name in (chosen,) if isinstance(chosen, str) else names:
            if (value := at(record, name)) is not None:
                self.note("reward", name)
                return _number(value, f"{where}: {visible(name)}")
        if status == "error":
            return 0.0
        looked = visible(chosen) if isinstance(chosen, str) else ", ".join(names)
        asked = (chosen,) if isinstance(chosen, str) else names
        empty = next((name for name in asked if name in record), None)
        cure = "write one there, or leave such runs out (on_error=skip, --on-error skip)"
        raise InvalidInput(
            f"{where}: no reward at {looked}; its fields are {shown_fields(record)}: name one "
            "(reward=, --reward-field), or give a number for all (reward=1.0, --reward 1)"
            + (f"; {visible(empty)} is null: {cure}" if empty is not None else "")
        )

    def task_id(
        self, record: Record, where: str, names: Sequence[str], opening: Sequence[Message]
    ) -> str:
        """The task's: as chosen, or what the first of the fields `names` says that there is; else
        made of the opening, which is what tells tasks apart. Raises `InvalidInput` for a field
        that is neither a text nor a whole number: passed over, it would merge tasks."""
        chosen = self.choices.task
        if callable(chosen):
            self.note("task", "a function")
            return fields.text(chosen(record), f"{where}: what task= gave")
        for name in (chosen,) if isinstance(chosen, str) else names:
            if (value := at(record, name)) not in _NOTHING:
                self.note("task", name)
                return _name_of_task(value, name, where)
        if isinstance(chosen, str):
            raise InvalidInput(
                f"{where}: no text at {visible(chosen)} to name the task by; its fields are "
                f"{shown_fields(record)}"
            )
        self.note("task", "its opening")
        said = "\0".join(f"{message.role}\0{message.content}" for message in opening)
        digest = sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
        return f"task-{digest[:_ID_LENGTH]}"

    def ending(self, record: Record, where: str) -> tuple[Status, Origin]:
        """How the run ended. One whose record says what `error` ended it says nothing of the task;
        one that says `truncated` was; all others are done."""
        for name in _ERRORS:
            if (error := record.get(name)) not in (None, "", False, [], {}):
                self.note("status", f"error, by the field {name}")
                return "error", Origin(error=shorten(visible(str(error)), _SHOWN_COLUMNS))
        if record.get("truncated") is True:
            self.note("status", "truncated, by that field")
            return "truncated", UNKNOWN
        self.note("status", "done")
        return "done", UNKNOWN


_ERRORS = ("error", "exception")
_NOTHING: tuple[Any, ...] = (None, [], {})  # of a table, what is null within is absent
_EXACT = 2.0**53  # from here on floats do not tell whole numbers apart


def at(record: Any, name: str) -> Any:
    """What stands at a dotted name; None where there is nothing. A key with dots in it counts
    before what its parts lead to."""
    if not isinstance(record, Mapping):
        return None
    if name in record:
        return record[name]
    for i, character in enumerate(name):
        if character == "." and (value := at(record.get(name[:i]), name[i + 1 :])) is not None:
            return value
    return None


def beside(record: Record, read: Collection[str], said: Record) -> dict[str, Any]:
    """What a record holds beside the fields that were `read`, for `Trajectory.info`: also without
    those that say, by their own names, what the trajectory does (`said`)."""
    return {
        name: value
        for name, value in record.items()
        if name not in read and not (name in said and said[name] == value)
    }


def shown_fields(record: Any) -> str:
    names = ", ".join(map(str, record)) if isinstance(record, Mapping) else ""
    return shorten(visible(names), _SHOWN_COLUMNS) if names else "none"


def _name_of_task(value: Any, name: str, where: str) -> str:
    """A text, or a whole number, also as pandas writes those of a column with gaps (7.0)."""
    if isinstance(value, str):
        return fields.text(value, f"{where}: {visible(name)}")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    helps = "name another field (task=, --task-field), or write it as a text"
    if isinstance(value, Mapping):
        inner = visible(f"{name}.{next(iter(value))}")
        helps = f"name a field in it, as {inner}, or another one (task=, --task-field)"
    raise InvalidInput(
        f"{where}: {visible(name)} is {fields.shown(value)}; a task is named by a text or a whole "
        f"number: {helps}"
    )


def _number(value: Any, name: str) -> float:
    return fields.number(float(value) if isinstance(value, bool) else value, name)
