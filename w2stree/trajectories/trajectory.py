"""Trajectories: the only stored truth. Everything else is derived from them.

    prompt ─ a1 ─ o1 ─ a2 ─ o2 ─ … ─ an ─ on          total_return, status
             └─ step 1 ┘         └─ step n ┘

On disk: JSON lines, one trajectory a line (here on four), UTF-8; or a journal, whose lines carry
a checksum too (`w2stree.trajectories.journal`).

    {"task_id":"twc/train/3","prompt":[{"role":"user","content":"Cook."}],
     "steps":[{"action":"take knife","observation":"Taken.","response":"Action: take knife"}, … ],
     "total_return":0.25,"status":"truncated",
     "origin":{"sample_index":0,"seed":7,"policy":"random"},"info":{}}

The fields are those of `Trajectory`, `Message`, `Step`, `ToolCall` and `Origin`; those with a
default may be left out, and so may the action of a step with tool calls. A record without `origin`
is read as 0.1.0 wrote it: what `info` has under the names of `Origin`'s fields is the origin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import UNKNOWN, Origin, parse_origin, record_of, split_info
from w2stree.trajectories.tool_call import ToolCall, action_of, parse_tool_calls, records_of

Status = Literal["done", "truncated", "error"]
"""`done`: the environment ended the episode. `truncated`: a step limit did, or the length
of what the model can read (`Origin.truncated_by`).
`error`: the environment or the model failed; such a run says nothing about the task."""


Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message of a prompt. Raises `InvalidInput` for a `role` that is no `Role`."""

    role: str
    content: str

    def __post_init__(self) -> None:
        _refuse_unknown_role(self.role, "message")


@dataclass(frozen=True, slots=True)
class Step:
    """One agent turn and the environment's answer.

    `action` is the parsed command and the merge key, "" for a turn that had none. `response` is the
    agent's turn verbatim (a ReAct thought may precede the action), `token_ids` the sampled ids of
    it and `logprobs` their log-probabilities under the sampling policy (same length). `reward` is
    what the environment paid for this step (the change of the score), where it was recorded.

    `tool_calls` are what a turn called instead of naming an action in words: its `action` is made
    of them (`tool_call.action_of`), and `response` is the text beside them, often none.
    `is_cut`: the turn hit a limit on its length, so the model did not end it; the end-of-turn mark
    in its `token_ids` was put there.

    Raises `InvalidInput` for tool calls that are no tuple of `ToolCall`, or of another action.
    """

    action: str
    observation: str
    response: str = ""
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    reward: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    is_cut: bool = False

    def __post_init__(self) -> None:
        if self.tool_calls != ():
            _check_tool_calls(self.tool_calls, self.action)

    @property
    def is_worded(self) -> bool:
        """Whether it says what the agent said, were it nothing at all.

        Not so for a log of actions alone: an action came of words, and they are not in it.
        """
        return bool(
            self.response or self.tool_calls or self.token_ids is not None or not self.action
        )


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One rollout `(u, a1, o1, …, an, on)` with its final score.

    `total_return` is G, which environment adapters put on [0, 1]. From elsewhere it is any finite
    number; search and thresholds then ask for its `return_range`. Success is never stored: it is
    `at_least(total_return, threshold)` (`trajectories.returns`) wherever it is asked for.
    `origin` is how the rollout was made; `info` is the user's own, any JSON, and never read.
    """

    task_id: str
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...]
    total_return: float
    status: Status
    origin: Origin = UNKNOWN
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.origin, Origin):  # where `info` once stood
            raise InvalidInput(
                f"task {self.task_id!r}: origin is {type(self.origin).__name__}; give an Origin, "
                "and what else is known as info="
            )

    def to_json(self) -> str:
        """One JSON line without the newline; what is absent is left out, of `origin` too."""
        record = {**asdict(self), "origin": record_of(self.origin)}
        for step, own in zip(record["steps"], self.steps, strict=True):
            step["tool_calls"] = records_of(own.tool_calls)
            for key, absent in _ABSENT:
                if step[key] == absent:
                    del step[key]
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", line)

    @classmethod
    def from_json(cls, line: str, *, where: str = "record") -> Trajectory:
        """Parse one line of strict JSON; `where` (file:line) begins every `InvalidInput`."""
        return _parse(parse_json(line, where), where)


def refuse_wordless(steps: Sequence[Step], where: str) -> None:
    """Raises `InvalidInput` where a step has an action, and not the words that it came of."""
    for i, step in enumerate(steps):
        if not step.is_worded:
            raise InvalidInput(
                f"{where}: step {i + 1}, {quoted(step.action, 60)}, has no response: a model would "
                "read an empty turn; give what the agent said"
            )


_HALVES = re.compile("[\ud800-\udfff]")
"""Of surrogate pairs: some games and logs have them, UTF-8 has none, JSON has them escaped."""

_ABSENT: tuple[tuple[str, object], ...] = (
    *(("token_ids", None), ("logprobs", None), ("reward", None)),
    *(("tool_calls", []), ("is_cut", False)),
)
"""Fields of a step, and the value with which they are left out of its record."""


def _parse(record: Any, where: str) -> Trajectory:
    record = fields.mapping(record, where, "the record")
    fields.refuse_unknown(record, Trajectory, where)
    total_return = fields.number(record, "total_return", where)
    status = record.get("status")
    if status not in get_args(Status):
        raise InvalidInput(f"{where}: status is {status!r}; use one of {get_args(Status)}")
    prompt = [
        fields.mapping(m, where, f"prompt[{i}]")
        for i, m in enumerate(fields.array(record, "prompt", where))
    ]
    origin, info = _origin_and_info(record, where)
    steps = [
        fields.mapping(s, where, f"steps[{i}]")
        for i, s in enumerate(fields.array(record, "steps", where))
    ]
    return Trajectory(
        task_id=fields.text(record, "task_id", where),
        prompt=tuple(_parse_message(m, f"{where}: prompt[{i}]") for i, m in enumerate(prompt)),
        steps=tuple(_parse_step(s, f"{where}: steps[{i}]") for i, s in enumerate(steps)),
        total_return=total_return,
        status=status,
        origin=origin,
        info=info,
    )


def _origin_and_info(record: fields.Record, where: str) -> tuple[Origin, fields.Record]:
    info = fields.mapping(record.get("info", {}), where, "info")
    if "origin" not in record:
        return split_info(info, where)
    origin = fields.mapping(record["origin"], where, "origin")
    return parse_origin(origin, f"{where}: origin"), info


def _parse_message(record: fields.Record, where: str) -> Message:
    role, content = (fields.text(record, key, where) for key in ("role", "content"))
    _refuse_unknown_role(role, where)
    fields.refuse_unknown(record, Message, where)
    return Message(role, content)


def _parse_step(record: dict[str, Any], where: str) -> Step:
    fields.refuse_unknown(record, Step, where)
    token_ids = fields.optional_numbers(record, "token_ids", where, int)
    logprobs = fields.optional_numbers(record, "logprobs", where, float)
    if token_ids is not None and logprobs is not None and len(token_ids) != len(logprobs):
        raise InvalidInput(
            f"{where}: {len(token_ids)} token_ids but {len(logprobs)} logprobs; give one for each"
        )
    tool_calls = parse_tool_calls(record, where)
    called = action_of(tool_calls) if tool_calls else None
    action = fields.text(record, "action", where, default=called)
    if called is not None and action != called:
        raise InvalidInput(f"{where}: {_other_action(action, called)}")
    return Step(
        action=action,
        observation=fields.text(record, "observation", where),
        response=fields.text(record, "response", where, default=""),
        token_ids=token_ids,
        logprobs=logprobs,
        reward=None if record.get("reward") is None else fields.number(record, "reward", where),
        tool_calls=tool_calls,
        is_cut=fields.truth(record, "is_cut", where),
    )


def _check_tool_calls(tool_calls: object, action: str) -> None:
    if not isinstance(tool_calls, tuple) or not all(isinstance(c, ToolCall) for c in tool_calls):
        raise InvalidInput(
            f"tool_calls is {quoted(repr(tool_calls), 60)}; give a tuple of ToolCall"
        )
    if action != (called := action_of(tool_calls)):
        raise InvalidInput(_other_action(action, called))


def _other_action(action: str, called: str) -> str:
    return (
        f"action is {quoted(action, 60)}, but the step's tool calls make it {quoted(called, 60)} "
        "(action_of)"
    )


def _refuse_unknown_role(role: str, where: str) -> None:
    if role not in get_args(Role):
        known = ", ".join(get_args(Role))
        raise InvalidInput(f"{where}: role is {role!r}; use one of {known}")
