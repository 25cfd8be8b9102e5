"""Trajectories: the only stored truth. Everything else is derived from them.

    prompt ─ a1 ─ o1 ─ a2 ─ o2 ─ … ─ an ─ on          total_return, status
             └─ step 1 ┘         └─ step n ┘

On disk: JSON lines, one trajectory a line, UTF-8; or a journal, whose lines carry a checksum too
(`w2stree.trajectories.journal`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from w2stree.errors import InvalidInput

Status = Literal["done", "truncated", "error"]
"""`done`: the environment ended the episode. `truncated`: a step limit did.
`error`: the environment or the model failed; such a run says nothing about the task."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Step:
    """One agent turn and the environment's answer.

    `action` is the parsed command and the merge key, `response` the agent's turn verbatim
    (a ReAct thought may precede the action), `token_ids` the sampled ids of `response`
    and `logprobs` their log-probabilities under the sampling policy (same length). `reward` is
    what the environment paid for this step (the change of the score), where it was recorded.
    """

    action: str
    observation: str
    response: str = ""
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    reward: float | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One rollout `(u, a1, o1, …, an, on)` with its final score.

    `total_return` is G in [0, 1], normalised by the environment adapter. Success is never
    stored: it is `total_return >= success_threshold` wherever it is asked for.
    `info` holds how the rollout was made (sampling configuration, seed, the fingerprint of the
    tokenizer that `token_ids` are of, an error's cause).
    """

    task_id: str
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...]
    total_return: float
    status: Status
    info: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One JSON line without the newline; absent token ids, logprobs, rewards are left out."""
        record = asdict(self)
        for step in record["steps"]:
            for key in ("token_ids", "logprobs", "reward"):
                if step[key] is None:
                    del step[key]
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, line: str, *, where: str = "record") -> Trajectory:
        """Parse one line. `where` (file:line) begins every message of `InvalidInput`."""
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidInput(
                f"{where}: not valid JSON (column {error.colno}: {error.msg}); "
                "a torn last line comes from an interrupted write: delete that line"
            ) from None
        except (ValueError, RecursionError) as error:  # endless digits, endless nesting
            raise InvalidInput(f"{where}: not readable as JSON ({error})") from None
        return _parse(record, where)


def _parse(record: Any, where: str) -> Trajectory:
    record = _object(record, where, "the record")
    _refuse_unknown(record, Trajectory, where)
    total_return = _number(record, "total_return", where)
    status = record.get("status")
    if status not in get_args(Status):
        raise InvalidInput(f"{where}: status is {status!r}; use one of {get_args(Status)}")
    prompt = [
        _object(m, where, f"prompt[{i}]") for i, m in enumerate(_array(record, "prompt", where))
    ]
    steps = [_object(s, where, f"steps[{i}]") for i, s in enumerate(_array(record, "steps", where))]
    return Trajectory(
        task_id=_text(record, "task_id", where),
        prompt=tuple(
            Message(
                _text(m, "role", f"{where}: prompt[{i}]"),
                _text(m, "content", f"{where}: prompt[{i}]"),
            )
            for i, m in enumerate(prompt)
        ),
        steps=tuple(_parse_step(s, f"{where}: steps[{i}]") for i, s in enumerate(steps)),
        total_return=total_return,
        status=status,
        info=_object(record.get("info", {}), where, "info"),
    )


def _parse_step(record: dict[str, Any], where: str) -> Step:
    _refuse_unknown(record, Step, where)
    token_ids = _optional_numbers(record, "token_ids", where, int)
    logprobs = _optional_numbers(record, "logprobs", where, float)
    if token_ids is not None and logprobs is not None and len(token_ids) != len(logprobs):
        raise InvalidInput(
            f"{where}: {len(token_ids)} token_ids but {len(logprobs)} logprobs; give one for each"
        )
    return Step(
        action=_text(record, "action", where),
        observation=_text(record, "observation", where),
        response=_text(record, "response", where, default=""),
        token_ids=token_ids,
        logprobs=logprobs,
        reward=None if record.get("reward") is None else _number(record, "reward", where),
    )


def _object(value: Any, where: str, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where}: {name} is {type(value).__name__}; expected an object")
    return value


def _array(record: dict[str, Any], key: str, where: str) -> list[Any]:
    value = record.get(key)
    if not isinstance(value, list):
        raise InvalidInput(f"{where}: {key} is {type(value).__name__}; expected an array")
    return value


def _text(record: dict[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = record.get(key, default)
    if not isinstance(value, str):
        raise InvalidInput(f"{where}: {key} is {type(value).__name__}; expected a string")
    return value


def _number(record: dict[str, Any], key: str, where: str) -> float:
    value = record.get(key)
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond the floats
        pass
    raise InvalidInput(f"{where}: {key} is {value!r}; expected a finite number")


def _optional_numbers(
    record: dict[str, Any], key: str, where: str, kind: type[Any]
) -> tuple[Any, ...] | None:
    values = record.get(key)
    if values is None:
        return None
    for i, value in enumerate(_array(record, key, where)):
        is_kind = isinstance(value, int) if kind is int else isinstance(value, int | float)
        if isinstance(value, bool) or not is_kind:
            raise InvalidInput(f"{where}: {key}[{i}] is {value!r}; expected {kind.__name__}")
    return tuple(kind(v) for v in values)


def _refuse_unknown(record: dict[str, Any], kind: type[Any], where: str) -> None:
    unknown = sorted(set(record) - set(kind.__dataclass_fields__))
    if unknown:
        known = ", ".join(kind.__dataclass_fields__)
        raise InvalidInput(f"{where}: unknown field {unknown[0]!r}; fields are {known}")
