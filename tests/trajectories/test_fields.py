"""Whatever can be made can be written, and is read back equal; the rest is refused when made."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, UserDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2stree import InvalidInput, Message, Step, Trajectory
from w2stree.trajectories import fields
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import ToolCall, action_of


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class NoText:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@dataclass(frozen=True, slots=True)
class OwnMessage(Message):
    more: str = ""


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


CODE_UNITS = st.characters(codec=None)  # halves of surrogate pairs among them
TEXTS = st.text(CODE_UNITS, max_size=8) | st.sampled_from(
    ["\ud83d\ude00", "\ude00\ud83d", "a\ud83d", "\u2028", "\x00", "\ufeff\ud800", "w2s1 "]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**700), 10**700),
    st.floats(),
    TEXTS,
    st.binary(max_size=4),
    st.sampled_from(
        [
            *(np.float16(0.1), np.float32(0.1), np.float64("nan"), np.longdouble(1), np.int8(-1)),
            *(np.uint64(2**64 - 1), np.bool_(True), np.str_("x"), np.bytes_(b"x"), np.complex64(1)),
            *(np.datetime64("2026-01-01"), np.array([1, 2]), np.array(1.0)),
            *(Decimal("1.5"), Colour.RED, Level.HIGH, {1, 2}, 1j, object, len),
            *(nested(150), nested(300), 10**640, -(2**2126), 2**2126 - 1),
            *(OrderedDict(a=1), UserDict(a=(1,)), {1: 2}, {None: 0}, {"a": {2: 3}}, range(3)),
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(TEXTS | st.integers(0, 3), inner, max_size=3),
    ),
    max_leaves=4,
)


def often(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what belongs there, so that many are whole; else anything."""
    return st.integers(0, 15).flatmap(lambda draw: VALUES if draw == 15 else usual)


def made(kind: Callable[..., Any], **given_fields: st.SearchStrategy[Any]) -> Any:
    return st.builds(lambda **values: attempt(kind, values), **given_fields)


def attempt(kind: Callable[..., Any], values: dict[str, Any]) -> Any:
    """The dataclass, or "refused" for its `InvalidInput`; any other exception is a fault."""
    try:
        return kind(**values)
    except InvalidInput as error:
        str(error).encode("utf-8")  # what is told of it can be printed and written
        assert len(str(error)) < 1_000
        return "refused"


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)
IDS = st.lists(st.integers(0, 9), max_size=3).map(tuple)
CALLS = made(
    ToolCall,
    name=often(st.sampled_from(["f", "g.h"])),
    arguments=often(st.sampled_from(["{}", '{"a": [1, 2.0, "\\ud83d\\ude00"]}', '{"b":1e400}'])),
    id=often(st.none() | TEXTS),
    result=often(st.none() | TEXTS),
)


@st.composite
def _steps(draw: st.DrawFn) -> Any:
    calls = draw(st.lists(CALLS, max_size=2))
    are_calls = calls and "refused" not in calls
    action = action_of(calls) if are_calls else draw(often(TEXTS))
    ids = draw(often(IDS | st.none()))
    num_ids = len(ids) if isinstance(ids, tuple) else 0
    logprobs = st.lists(NUMBERS, min_size=num_ids, max_size=num_ids).map(tuple)
    values = {
        "action": action,
        "observation": draw(often(TEXTS)),
        "response": draw(often(TEXTS)),
        "token_ids": ids,
        "logprobs": draw(often(st.none() | logprobs)),
        "reward": draw(often(st.none() | NUMBERS)),
        "tool_calls": draw(often(st.just(calls))),
        "is_cut": draw(often(st.booleans())),
    }
    return attempt(Step, values)


MESSAGES = made(
    Message, role=often(st.sampled_from(["system", "user", "assistant"])), content=often(TEXTS)
)
ORIGINS = made(
    Origin,
    sample_index=often(st.none() | st.integers()),
    attempt=often(st.integers(0, 3)),
    temperature=often(st.none() | NUMBERS),
    policy=often(st.none() | TEXTS),
    error=often(st.none() | TEXTS),
    num_tokens=often(st.none() | st.integers(0, 9)),
)
TRAJECTORIES = made(
    Trajectory,
    task_id=often(TEXTS),
    prompt=often(st.lists(MESSAGES, max_size=2)),
    steps=often(st.lists(_steps(), max_size=3)),
    total_return=often(NUMBERS),
    status=often(st.sampled_from(["done", "truncated", "error"])),
    origin=often(ORIGINS),
    info=often(st.dictionaries(TEXTS, VALUES, max_size=3)),
)


@settings(max_examples=300, deadline=None)
@given(TRAJECTORIES)
def test_what_is_made_is_written_and_read_back_equal(trajectory: Any) -> None:
    if isinstance(trajectory, str):
        return
    line = trajectory.to_json()
    line.encode("utf-8")
    assert "\n" not in line
    read = Trajectory.from_json(line)
    assert read == trajectory
    assert read.to_json() == line
    assert repr(read) == repr(trajectory), "the same types too"


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["task_id", "prompt", "steps", "total_return", "status",
                                        "origin", "info"]), VALUES))  # fmt: skip
def test_what_is_read_can_be_written(record: dict[str, Any]) -> None:
    """Any JSON at all, NaN included: refused by a typed error, or as good as what is made."""
    usual = json.loads(Trajectory("t", (), (), 1.0, "done").to_json())
    try:
        line = json.dumps({**usual, **record})
    except (TypeError, ValueError, RuntimeError, RecursionError):
        return  # no JSON
    read = attempt(Trajectory.from_json, {"line": line})
    assert read == "refused" or Trajectory.from_json(read.to_json()) == read


STEP = {"action": "a", "observation": "o"}
RUN = {"task_id": "t", "prompt": (), "steps": (), "total_return": 1.0, "status": "done"}
TAKEN: list[tuple[Callable[..., Any], Any, str, Any]] = [
    (Message, {"role": "user", "content": np.str_("hi")}, "content", "hi"),
    (Message, {"role": "user", "content": Colour.RED}, "content", "red"),
    (Step, {"action": "\ud83d\ude00", "observation": ""}, "action", "\U0001f600"),
    (Step, {"action": "\ud83d", "observation": ""}, "action", "\ud83d"),
    (Step, {**STEP, "reward": np.float32(0.5)}, "reward", 0.5),
    (Step, {**STEP, "reward": 1}, "reward", 1.0),
    (Step, {**STEP, "token_ids": [np.int8(3), Level.HIGH]}, "token_ids", (3, 3)),
    (Step, {**STEP, "logprobs": [np.float32(-1)]}, "logprobs", (-1.0,)),
    (Step, {**STEP, "is_cut": np.bool_(True)}, "is_cut", True),
    (Origin, {"seed": np.int64(3)}, "seed", 3),
    (Origin, {"temperature": np.float64(0.5)}, "temperature", 0.5),
    (ToolCall, {"name": "f", "id": ""}, "id", ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "name", "kept"), TAKEN)
def test_what_is_as_good_is_kept_as_pythons_own(
    kind: Callable[..., Any], values: Any, name: str, kept: Any
) -> None:
    own = getattr(kind(**values), name)
    assert own == kept
    assert type(own) is type(kept)
    if isinstance(kept, tuple):
        assert list(map(type, own)) == list(map(type, kept))


REFUSED: list[tuple[Callable[..., Any], Any, str]] = [
    (Message, {"role": "user", "content": None}, "content is NoneType; expected a string"),
    (Message, {"role": "user", "content": b"hi"}, "content is bytes; expected a string"),
    (Step, {**STEP, "observation": 5}, "observation is int; expected a string"),
    (Step, {**STEP, "response": None}, "response is NoneType; expected a string"),
    (Step, {**STEP, "token_ids": "12"}, "token_ids is str; expected an array"),
    (Step, {**STEP, "token_ids": np.array([[1]])}, "token_ids has 2 dimensions; expected one"),
    (Step, {**STEP, "token_ids": np.array([1.0])}, r"token_ids\[0\] is 1.0; expected an integer"),
    (Step, {**STEP, "token_ids": np.array([1], "m8[ns]")}, "token_ids is ndarray; expected an"),
    (Step, {**STEP, "logprobs": np.array([np.nan])}, r"logprobs\[0\] is nan; expected a finite"),
    (Step, {**STEP, "token_ids": (True,)}, r"token_ids\[0\] is True; expected an integer"),
    (Step, {**STEP, "token_ids": (1, 2.0)}, r"token_ids\[1\] is 2.0; expected an integer"),
    (Step, {**STEP, "token_ids": (10**640,)}, r"token_ids\[0\] has 2127 bits; .* 640 digits"),
    (Step, {**STEP, "logprobs": (None,)}, r"logprobs\[0\] is None; expected a finite number"),
    (Step, {**STEP, "logprobs": (-1.0, -np.inf)}, r"logprobs\[1\] is -inf; expected a finite"),
    (Step, {**STEP, "logprobs": (10**400,)}, r"logprobs\[0\] is 1000.*…; expected a finite"),
    (Step, {**STEP, "token_ids": (1, 2), "logprobs": (-1.0,)}, "2 token_ids but 1 logprobs"),
    (Step, {**STEP, "reward": float("nan")}, "reward is nan; expected a finite number"),
    (Step, {**STEP, "reward": True}, "reward is True; expected a finite number"),
    (Step, {**STEP, "reward": "1"}, "reward is '1'; expected a finite number"),
    (Step, {**STEP, "reward": NoText()}, "reward is a NoText; expected a finite number"),
    (Step, {**STEP, "is_cut": 1}, "is_cut is 1; expected true or false"),
    (Step, {**STEP, "is_cut": None}, "is_cut is None; expected true or false"),
    (Trajectory, {**RUN, "status": "success"}, "task 't': status is 'success'; use one of"),
    (Trajectory, {**RUN, "task_id": None}, "task_id is NoneType; expected a string"),
    (Trajectory, {**RUN, "total_return": np.inf}, "task 't': total_return is inf; expected a fin"),
    (Trajectory, {**RUN, "steps": ("a",)}, r"task 't': steps\[0\] is 'a'; expected Step"),
    (Trajectory, {**RUN, "prompt": "hi"}, "task 't': prompt is str; expected an array"),
    (Trajectory, {**RUN, "prompt": (OwnMessage("user", ""),)}, r"prompt\[0\] is OwnM.*ted Message"),
    (Trajectory, {**RUN, "info": None}, "info is NoneType; expected an object"),
    (Trajectory, {**RUN, "info": {"a": [0, {"b": np.nan}]}}, r"info\['a'\]\[1\]\['b'\]: nan is no"),
    (Trajectory, {**RUN, "info": {1: 2}}, "info: the key 1 is int; expected a string"),
    (Trajectory, {**RUN, "info": {"a": np.zeros(2)}}, r"info\['a'\]: array.* is ndarray, which"),
    (Trajectory, {**RUN, "info": {"a": b"x"}}, r"info\['a'\]: b'x' is bytes, which JSON does not"),
    (Trajectory, {**RUN, "info": {"\ud83d\ude00": 1, "\U0001f600": 2}}, "the key .* there twice"),
    (Trajectory, {**RUN, "info": {"a": nested(200)}}, "more than 200 levels of arrays and objects"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "message"), REFUSED)
def test_what_could_not_be_read_back_is_refused_when_made(
    kind: Callable[..., Any], values: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        kind(**values)


def test_arrays_of_a_sampler_are_their_numbers() -> None:
    step = Step("a", "b", "", np.arange(3, dtype=np.int32), np.float32([-0.1, -2.0, 0.0]))  # type: ignore[arg-type]
    assert step == Step("a", "b", "", (0, 1, 2), (float(np.float32(-0.1)), -2.0, 0.0))
    assert all(type(value) is int for value in step.token_ids or ())


def test_info_is_a_copy_made_of_what_json_knows() -> None:
    given_info = {"a": (1, np.float32(0.5)), "b": UserDict(c=Colour.RED)}
    trajectory = Trajectory(**RUN, info=given_info)  # type: ignore[arg-type]
    given_info["a"] = float("nan")
    assert trajectory.info == {"a": [1, 0.5], "b": {"c": "red"}}
    assert Trajectory.from_json(trajectory.to_json()) == trajectory


def test_a_loop_is_more_levels_than_there_may_be() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(InvalidInput, match="more than 200 levels"):
        fields.plain(loop, "info")
