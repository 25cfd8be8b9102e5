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
default may be left out or null (as tables write them), and so may the action of a step with tool
calls. A record without `origin` is read as 0.1.0 wrote it: what `info` has under the names of
`Origin`'s fields is the origin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, TypeVar, get_args

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import UNKNOWN, Origin, parse_origin, record_of, split_info
from w2stree.trajectories.tool_call import ToolCall, action_of, parse_tool_calls, records_of

T = TypeVar("T")

Status = Literal["done", "truncated", "error"]
"""`done`: the environment ended the episode. `truncated`: a step limit did, or the length
of what the model can read (`Origin.truncated_by`).
`error`: the environment or the model failed; such a run says nothing about the task."""


Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message of a prompt. Raises `InvalidInput` for a `role` that is no `Role`, and for
    a content that is no text."""

    role: str
    content: str

    def __post_init__(self) -> None:
        fields.texts(self, "role", "content")
        if self.role not in ROLES:
            known = ", ".join(ROLES)
            raise InvalidInput(f"role is {fields.shown(self.role)}; use one of {known}")


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

    Raises `InvalidInput` for a field that cannot be written and read again equal
    (`trajectories.fields` has the rules), for tool calls of another action, and for other numbers
    of ids and log-probabilities.
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
        # An episode has many steps, so what is usual is seen here and asked nobody.
        action, observation, response = self.action, self.observation, self.response
        if not (
            type(action) is type(observation) is type(response) is str
            and action.isascii()
            and observation.isascii()
            and response.isascii()
        ):
            fields.texts(self, "action", "observation", "response")
        if self.token_ids is not None:
            fields.keep(self, "token_ids", fields.integers)
        if self.logprobs is not None:
            fields.keep(self, "logprobs", fields.numbers)
            self._refuse_other_counts()
        if self.reward is not None and not (type(self.reward) is float and isfinite(self.reward)):
            fields.keep(self, "reward", fields.number)
        if type(self.tool_calls) is not tuple or self.tool_calls:
            object.__setattr__(
                self, "tool_calls", fields.items(self.tool_calls, "tool_calls", ToolCall)
            )
            self._refuse_other_action()
        if self.is_cut is not False:
            fields.keep(self, "is_cut", fields.truth)

    @property
    def is_worded(self) -> bool:
        """Whether it says what the agent said, were it nothing at all.

        Not so for a log of actions alone: an action came of words, and they are not in it.
        """
        return bool(
            self.response or self.tool_calls or self.token_ids is not None or not self.action
        )

    def _refuse_other_counts(self) -> None:
        if self.token_ids is None or self.logprobs is None:
            return
        if len(self.token_ids) != len(self.logprobs):
            raise InvalidInput(
                f"{len(self.token_ids)} token_ids but {len(self.logprobs)} logprobs; "
                "give one for each"
            )

    def _refuse_other_action(self) -> None:
        if self.tool_calls and self.action != (called := action_of(self.tool_calls)):
            raise InvalidInput(
                f"action is {quoted(self.action, 60)}, but the step's tool calls make it "
                f"{quoted(called, 60)} (action_of)"
            )


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One rollout `(u, a1, o1, …, an, on)` with its final score.

    `total_return` is G, which environment adapters put on [0, 1]. From elsewhere it is any finite
    number; search and thresholds then ask for its `return_range`. Success is never stored: it is
    `at_least(total_return, threshold)` (`trajectories.returns`) wherever it is asked for.
    `origin` is how the rollout was made; `info` is the user's own, any JSON, and never read: a
    copy of what is given, not to be written into.

    Whatever can be made can be written, and is read back equal. Raises `InvalidInput` for a field
    of which that would not hold (`trajectories.fields` has the rules).
    """

    task_id: str
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...]
    total_return: float
    status: Status
    origin: Origin = UNKNOWN
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self._keep_plain()
        except InvalidInput as error:
            raise InvalidInput(f"task {fields.shown(self.task_id)}: {error}") from None

    def _keep_plain(self) -> None:
        keep = object.__setattr__
        fields.texts(self, "task_id", "status")
        keep(self, "prompt", fields.items(self.prompt, "prompt", Message))
        keep(self, "steps", fields.items(self.steps, "steps", Step))
        keep(self, "total_return", fields.number(self.total_return, "total_return"))
        if self.status not in STATUSES:
            raise InvalidInput(f"status is {fields.shown(self.status)}; use one of {STATUSES}")
        if type(self.origin) is not Origin:  # where `info` once stood
            raise InvalidInput(
                f"origin is {type(self.origin).__name__}; give an Origin, and what else is known "
                "as info="
            )
        if not isinstance(self.info, Mapping):
            raise InvalidInput(f"info is {type(self.info).__name__}; expected an object")
        keep(self, "info", fields.plain(self.info, "info"))

    def to_json(self) -> str:
        """One JSON line without the newline; what is absent is left out, of `origin` too.

        Raises `InvalidInput` where something was written into `info` that JSON does not know.
        """
        record = {
            "task_id": self.task_id,
            "prompt": [{"role": m.role, "content": m.content} for m in self.prompt],
            "steps": [_step_record(step) for step in self.steps],
            "total_return": self.total_return,
            "status": self.status,
            "origin": record_of(self.origin),
            "info": fields.plain(self.info, "info"),
        }
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", line)

    @classmethod
    def from_json(cls, line: str, *, where: str = "record") -> Trajectory:
        """Parse one line of strict JSON; `where` (file:line) begins every `InvalidInput`."""
        return cls.of_record(parse_json(line, where), where=where)

    @classmethod
    def of_record(cls, record: Any, *, where: str = "record") -> Trajectory:
        """The same of what JSON was read as."""
        try:
            return _parse(record)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error}") from None


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

STATUSES, ROLES = get_args(Status), get_args(Role)


def _step_record(step: Step) -> fields.Record:
    record: fields.Record = {
        "action": step.action,
        "observation": step.observation,
        "response": step.response,
    }
    if step.token_ids is not None:
        record["token_ids"] = step.token_ids
    if step.logprobs is not None:
        record["logprobs"] = step.logprobs
    if step.reward is not None:
        record["reward"] = step.reward
    if step.tool_calls:
        record["tool_calls"] = records_of(step.tool_calls)
    if step.is_cut:
        record["is_cut"] = True
    return record


def _parse(given: Any) -> Trajectory:
    record = fields.mapping(given, "the record")
    fields.refuse_unknown(record, Trajectory)
    task_id = fields.text(record.get("task_id"), "task_id")
    prompt, steps = (fields.array(record.get(key), key) for key in ("prompt", "steps"))
    origin, info = _origin_and_info(record)
    return Trajectory(
        task_id=task_id,
        prompt=tuple(_each(prompt, "prompt", _parse_message)),
        steps=tuple(_each(steps, "steps", _parse_step)),
        total_return=record.get("total_return"),  # type: ignore[arg-type]  # it looks itself
        status=record.get("status"),  # type: ignore[arg-type]
        origin=origin,
        info=info,
    )


def _each(listed: Sequence[Any], name: str, parse: Callable[[fields.Record], T]) -> Iterator[T]:
    for i, given in enumerate(listed):
        record = fields.mapping(given, f"{name}[{i}]")
        try:
            yield parse(record)
        except InvalidInput as error:
            raise InvalidInput(f"{name}[{i}]: {error}") from None


def _origin_and_info(record: fields.Record) -> tuple[Origin, fields.Record]:
    info = {} if record.get("info") is None else fields.mapping(record["info"], "info")
    if record.get("origin") is None:
        return split_info(info)
    return parse_origin(fields.mapping(record["origin"], "origin")), info


def _parse_message(record: fields.Record) -> Message:
    fields.refuse_unknown(record, Message)
    return Message(record.get("role"), record.get("content"))  # type: ignore[arg-type]


def _parse_step(record: fields.Record) -> Step:
    fields.refuse_unknown(record, Step)
    given = record.get
    tool_calls = parse_tool_calls(given("tool_calls"))
    action, response, is_cut = given("action"), given("response"), given("is_cut")
    return Step(
        action=action_of(tool_calls) if tool_calls and action is None else action,  # type: ignore[arg-type]
        observation=given("observation"),  # type: ignore[arg-type]
        response="" if response is None else response,
        token_ids=given("token_ids"),
        logprobs=given("logprobs"),
        reward=given("reward"),
        tool_calls=tool_calls,
        is_cut=False if is_cut is None else is_cut,
    )
