"""What no game should answer: a table, and a game that answers it.

tasks   fair/0   foul/0   fair/1   foul/1   …
        as it    answers, at one moment, the 0th, 1st, … of the things below
        should
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from w2stree.environments.protocol import ExpertTurn
from w2stree.errors import EnvironmentFailure, InvalidInput

Moment = Literal["reset", "step", "expert"]
HALF = "half an emoji: \ud83d"
INFO = {"score": 0.0, "admissible_actions": ["go", "stop"]}


@dataclass(frozen=True, slots=True)
class BadAnswer:
    """What a game answers at a moment. `told` is what the error row must say; None where the
    answer is played like any other."""

    name: str
    moment: Moment
    answer: Callable[[], Any]
    told: str | None


class TextlessError(Exception):
    """An error without words of its own."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Foul:
    """Tasks of two steps each; the task "foul/17" has the 17th of the bad answers."""

    def tasks(self, split: str) -> list[str]:
        return [f"{kind}/{i}" for i in range(len(BAD_ANSWERS)) for kind in ("fair", "foul")]

    def reset(self, task_id: str) -> Any:
        kind, _, number = task_id.partition("/")
        self._bad = BAD_ANSWERS[int(number)] if kind == "foul" else None
        self._num_steps = 0
        return self._at("reset") or ("Two doors.", INFO)

    def step(self, action: str) -> Any:
        self._num_steps += 1
        is_over = self._num_steps == 2
        usual = (f"room {self._num_steps}", 0.5, is_over, False, {**INFO, "score": self._score})
        return (self._at("step") if is_over else None) or usual

    def expert(self) -> Any:
        return self._at("expert") or [ExpertTurn("", "go")] * 2

    def close(self) -> None:
        pass

    @property
    def _score(self) -> float:
        return self._num_steps / 2

    def _at(self, moment: Moment) -> Any:
        """The bad answer, if it is due; not what is false in itself, which no answer is here."""
        return self._bad.answer() if self._bad and self._bad.moment == moment else None


def _step(**change: Any) -> tuple[Any, ...]:
    info = {"score": 1.0, "admissible_actions": ["go"]}
    usual = {"observation": "end", "reward": 0.5, "ended": True, "truncated": False, "info": info}
    return tuple({**usual, **change}.values())


def _info(**change: Any) -> tuple[Any, ...]:
    info = {"score": 1.0, "admissible_actions": ["go"], **change}
    return _step(info={key: value for key, value in info.items() if value is not _GONE})


_GONE = object()


def _raise(error: BaseException) -> Any:
    raise error


def _nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = {"in": [value]}
    return value


def _circle() -> Any:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _ghost() -> Any:
    """Of a class that the driver does not have."""
    module = types.ModuleType("ghost")
    sys.modules["ghost"] = module
    exec("class Ghost: pass", module.__dict__)
    return module.Ghost()


class Runs:
    """Would run a command in the driver, if the driver unpickled it."""

    def __reduce__(self) -> Any:
        return os.system, ("kill -9 $PPID",)


def _garbage() -> Any:
    """Bytes of the game's own in every socket it finds, its pipe to the driver among them."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):  # closed, or not to be written to
            os.write(descriptor, b"\x00\x00\x00\x05hello" * 3)
    return _step()


def _close_all() -> Any:
    os.closerange(3, 64)
    return _step()


def _recursion() -> Any:
    return _recursion()


def _of_texts() -> Iterator[BadAnswer]:
    for name, value, told in (
        ("bytes", b"end", "observation is bytes; expected a string"),
        ("int", 5, "observation is int"),
        ("None", None, "observation is NoneType"),
        ("dict", {"text": "end"}, "observation is dict"),
        ("list", ["end"], "observation is list"),
        ("array", np.zeros(3), "numpy.ndarray is no data"),
        ("object", object(), "object is no data"),
        ("20 MB", "x" * 20_000_000, "19 MiB; at most 16"),
        ("half a surrogate pair", HALF, None),
        ("both halves", "\ud83d\ude00", None),
        ("np.str_", np.str_("end"), None),
        ("controls", "\x1b[2J\x1b]0;x\x07\u202e\x00\r\n\u2028", None),
        ("a frame of a journal", "w2s1 0000000004 00000000 {}\nw2s1 ", None),
        ("empty", "", None),
        ("4 MB", "x" * 4_000_000, None),
    ):
        yield BadAnswer(f"observation: {name}", "step", lambda v=value: _step(observation=v), told)  # type: ignore[misc]
        if name in ("int", "bytes", "half a surrogate pair"):
            told = told and told.replace("observation", "statement")
            yield BadAnswer(f"statement: {name}", "reset", lambda v=value: (v, INFO), told)  # type: ignore[misc]


def _of_numbers() -> Iterator[BadAnswer]:
    for name, value, told in (
        ("NaN", math.nan, "is nan; expected a finite number"),
        ("infinity", math.inf, "is inf; expected a finite number"),
        ("text", "1", "is '1'; expected a finite number"),
        ("None", None, "is None; expected a finite number"),
        ("True", True, "is True; expected a finite number"),
        ("beyond 64 bits", 10**40, r"can't serialize ints < -2\*\*63"),
        ("complex", 1j, "complex is no data"),
        ("longdouble", np.longdouble(0.5), "longdouble is no data"),
        ("array", np.array([1.0]), "numpy.ndarray is no data"),
        ("list", [1.0], r"is \[1.0\]; expected a finite number"),
        ("np.float32 NaN", np.float32("nan"), "is nan; expected a finite number"),
        ("np.float32", np.float32(0.5), None),
        ("np.float64", np.float64(0.5), None),
        ("np.int64", np.int64(1), None),
        ("int", 1, None),
    ):
        yield BadAnswer(f"score: {name}", "step", lambda v=value: _info(score=v), told)  # type: ignore[misc]
        yield BadAnswer(f"reward: {name}", "step", lambda v=value: _step(reward=v), told)  # type: ignore[misc]
    for name, value, told in (
        ("5", 5.0, r"info\['score'\] is 5; an adapter puts it on \[0, 1\]"),
        ("-1", -1.0, r"info\['score'\] is -1; an adapter"),
        ("a hair above 1", 1.0 + 1e-12, None),
        ("a Decimal", Decimal("0.5"), r"info\['score'\] is '0.5'; expected a finite number"),
    ):
        yield BadAnswer(f"score: {name}", "step", lambda v=value: _info(score=v), told)  # type: ignore[misc]


def _of_ends() -> Iterator[BadAnswer]:
    for name, value, told in (
        ("1", 1, "terminated is 1; expected true or false"),
        ("text", "yes", "terminated is 'yes'; expected true or false"),
        ("None", None, "terminated is None; expected true or false"),
        ("np.bool_", np.bool_(True), None),
    ):
        yield BadAnswer(f"terminated: {name}", "step", lambda v=value: _step(ended=v), told)  # type: ignore[misc]
    yield BadAnswer("truncated: 0", "step", lambda: _step(truncated=0), "truncated is 0; expected")
    yield BadAnswer("both ends at once", "step", lambda: _step(truncated=True), None)


def _of_shapes() -> Iterator[BadAnswer]:
    for name, moment, answer, told in (
        ("four values", "step", ("end", 1.0, True, INFO), "answered 4 values; expected observ"),
        ("six values", "step", (*_step(), 1), "answered 6 values; expected observation, reward,"),
        ("a text", "step", "end", "answered str; expected observation"),
        ("a dict", "step", {"observation": "end"}, "answered dict; expected observation"),
        ("a list", "step", list(_step()), None),
        ("an observation alone", "reset", "start", "reset: it answered str; expected statement"),
        ("three values", "reset", ("start", 0.0, INFO), "answered 3 values; expected statement"),
    ):
        yield BadAnswer(f"{moment}: {name}", moment, lambda a=answer: a, told)  # type: ignore[arg-type,misc]


def _of_info() -> Iterator[BadAnswer]:
    for name, change, told in (
        ("no score", {"score": _GONE}, "info has no 'score'"),
        ("no actions", {"admissible_actions": _GONE}, "info has no 'admissible_actions'"),
        ("keys that are no text", {1: 2}, "keys that are no text"),
        ("raw_score: text", {"raw_score": "9"}, r"info\['raw_score'\] is '9'; expected a finite"),
        ("raw_score: NaN", {"raw_score": math.nan}, r"info\['raw_score'\] is nan"),
        ("multi_line: text", {"multi_line": "yes"}, r"info\['multi_line'\] is 'yes'; expected tr"),
        ("a function", {"more": print}, "is no data"),
        ("an object of another module", {"more": _ghost}, "Ghost is no data"),
        ("code for whoever unpickles it", {"more": Runs}, "Runs is no data"),
        ("a circle", {"more": _circle}, "ecursion|deep"),
        ("nested 100,000 deep", {"more": lambda: _nested(100_000)}, "ecursion|deep"),
        ("nested 50 deep", {"more": lambda: _nested(50)}, None),
        ("more than is asked for", {"more": {"a": [1, None]}}, None),
    ):
        yield BadAnswer(
            f"info: {name}",
            "step",
            lambda c=change: (
                _info(  # type: ignore[misc]
                    **{str(k): v() if callable(v) and v is not print else v for k, v in c.items()}
                )
                if 1 not in c
                else _step(info={**INFO, 1: 2})
            ),
            told,
        )
    yield BadAnswer(
        "info: None", "step", lambda: _step(info=None), "info is NoneType; expected a d"
    )
    yield BadAnswer("info: a list", "reset", lambda: ("start", []), "info is list; expected a dict")


def _of_actions() -> Iterator[BadAnswer]:
    for name, actions, told in (
        ("None", None, r"info\['admissible_actions'\] is NoneType; expected an array"),
        ("a text", "go", r"info\['admissible_actions'\] is str; expected an array"),
        ("numbers", [1, 2], r"info\['admissible_actions'\]\[0\] is int; expected a string"),
        ("one is None", ["go", None], r"info\['admissible_actions'\]\[1\] is NoneType"),
        ("one is empty", ["go", ""], r"info\['admissible_actions'\]\[1\] is '', which no turn can"),
        ("one is blank", [" \t", "go"], r"info\['admissible_actions'\]\[0\] is ' \\t', which no t"),
        ("an array", np.array(["go"]), "numpy.ndarray is no data"),
        ("none at all", [], "lists no admissible actions"),
        ("a tuple", ("go", "stop"), None),
        ("a set", {"go"}, None),
        ("twice the same", ["go", "go"], None),
        ("half a surrogate pair", ["go \udcff"], None),
        ("lines and labels", ["go\nAction: evil", "x\r\ny"], None),
        ("200,000 of them", [f"a{i}" for i in range(200_000)], None),
    ):
        yield BadAnswer(
            f"actions: {name}",
            "reset",
            lambda a=actions: ("start", {**INFO, "admissible_actions": a}),  # type: ignore[misc]
            told,
        )


def _errors() -> Iterator[BadAnswer]:
    for name, raise_it, told in (
        ("30 MB of text", lambda: _raise(ValueError("x" * 30_000_000)), "characters left out"),
        ("half a surrogate pair", lambda: _raise(ValueError(HALF)), "ValueError: half an emoji"),
        ("no words", lambda: _raise(TextlessError()), "TextlessError: .its text cannot be had"),
        ("SystemExit", lambda: _raise(SystemExit(3)), "its process ended"),
        ("KeyboardInterrupt", lambda: _raise(KeyboardInterrupt()), "its process ended"),
        ("endless recursion", _recursion, "RecursionError"),
        ("MemoryError", lambda: _raise(MemoryError()), "MemoryError"),
        ("InvalidInput", lambda: _raise(InvalidInput("too many")), "too many"),
        ("EnvironmentFailure", lambda: _raise(EnvironmentFailure("out of order")), "out of order"),
        ("the process gone", lambda: os._exit(3), "its process ended .exit status 3"),
        ("garbage in the pipe", _garbage, "cannot be read|none of ours|its process ended"),
        ("every descriptor closed", _close_all, "its process ended"),
    ):
        yield BadAnswer(f"error: {name}", "step", raise_it, told)


def _solutions() -> Iterator[BadAnswer]:
    for name, solution, told in (
        ("None in it", [None], "turn 0 is None; expected an ExpertTurn"),
        ("actions alone", ["go"], "turn 0 is 'go'; expected an ExpertTurn"),
        ("a text", "go", "the solution is str; expected an array"),
        ("an action of another type", [ExpertTurn("", 5)], r"turn 0.action is int"),  # type: ignore[arg-type]
        ("a thought of another type", [ExpertTurn(None, "go")], r"turn 0.thought is None"),  # type: ignore[arg-type]
        ("an action no turn can say", [ExpertTurn("", " ")], "which no turn can say"),
        ("half a surrogate pair", [ExpertTurn(HALF, "go")], None),
    ):
        yield BadAnswer(f"expert: {name}", "expert", lambda s=solution: s, told)  # type: ignore[misc]


BAD_ANSWERS: tuple[BadAnswer, ...] = (
    *_of_texts(),
    *_of_numbers(),
    *_of_ends(),
    *_of_shapes(),
    *_of_info(),
    *_of_actions(),
    *_errors(),
    *_solutions(),
)
