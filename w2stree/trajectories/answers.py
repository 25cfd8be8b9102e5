"""What was said to each turn, message by message: a step's observation is all of it as one text.

    assistant  search, weather     Step(…, "100 EUR\\nsunny\\nHurry.", tool_calls=…)
    tool       100 EUR             Answer("tool", "100 EUR", call=0)
    tool       sunny               Answer("tool", "sunny", call=1)
    user       Hurry.              Answer("user", "Hurry.")
    assistant  …

Mostly a step says so itself: a turn in words is answered by one message of the user, each call by
its `result`. Where a log was otherwise, `info["heard"]` of its run has it, by the step's number, in
the order in which it was said: who said how many characters of the observation, and to which call.

    "heard": {"3": [{"role": "system", "length": 8}, {"role": "user", "length": 2}], "5": []}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from w2stree.errors import InvalidInput
from w2stree.trajectories import fields
from w2stree.trajectories.trajectory import Step, Trajectory

HEARD = "heard"
"""In `info`: the messages of those observations that the steps themselves do not tell apart."""

ROLES = ("system", "user", "tool")


class Answer(NamedTuple):
    """One message between two turns; `call` is the number of the call that a tool answers."""

    role: str
    text: str
    call: int | None = None


Answers = tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class AnsweredStep(Step):
    """A step with the messages of its observation, where these are others than it says itself."""

    answers: Answers = ()


def answers_to(step: Step) -> Answers:
    """The messages of a step's observation: those of its calls in their order, then the others.

    Several calls without results were answered all at once, after the last (as a chat server is
    told). O(observation).
    """
    if isinstance(step, AnsweredStep):
        return in_order_of_calls(step.answers)
    if not step.tool_calls:
        return (Answer("user", step.observation),)
    if (known := _by_results(step)) is not None:
        return known
    last = len(step.tool_calls) - 1
    unknown = tuple(Answer("tool", "", i) for i in range(last))
    return (*unknown, Answer("tool", step.observation, last))


def is_plain(step: Step) -> bool:
    """Whether one message answers it, which is all of its observation: of the user, or of its one
    tool."""
    calls = step.tool_calls
    return type(step) is Step and (not calls or (len(calls) == 1 and calls[0].result is None))


def has_results(step: Step) -> bool:
    """Whether it says which call each part of its observation answers."""
    return len(step.tool_calls) == 1 or _by_results(step) is not None


def in_order_of_calls(answers: Sequence[Answer]) -> Answers:
    """As an observation has them: to calls in the order of these, then what else was said."""
    return tuple(sorted(answers, key=lambda one: (one.call is None, one.call or 0)))


def with_answers(run: Trajectory) -> tuple[Step, ...]:
    """The run's steps, `AnsweredStep`s where its `info` has their messages, as they were said.

    Raises `InvalidInput` where these are not those of its steps.
    """
    heard = run.info.get(HEARD)
    if heard is None:
        return run.steps
    where = f"task {fields.shown(run.task_id)}: info[{HEARD!r}]"
    steps = list(run.steps)
    for number, listed in fields.mapping(heard, where).items():
        if not (number.isascii() and number.isdecimal() and int(number) < len(steps)):
            raise InvalidInput(
                f"{where}: there is no step {fields.shown(number)}, of {len(steps)}: {_FIX}"
            )
        step = steps[int(number)]
        answers = _parse(listed, step, f"{where}[{number!r}]")
        steps[int(number)] = answered(step, answers)
    return tuple(steps)


def roles_heard(run: Trajectory) -> set[str]:
    """Whose messages stand between the run's turns; raises as `with_answers`."""
    return {answer.role for step in with_answers(run) for answer in answers_to(step)}


def answered(step: Step, answers: Iterable[Answer]) -> AnsweredStep:
    """The step with these messages, in the order in which they were said."""
    own = {name: getattr(step, name) for name in Step.__dataclass_fields__}
    return AnsweredStep(**own, answers=tuple(answers))


def heard_of(steps: Sequence[Step], answers: Sequence[Sequence[Answer]]) -> dict[str, Any]:
    """For a run's `info`: `HEARD`, where what was said to a step is not what it says itself."""
    heard = {
        str(i): [_record(one) for one in said]
        for i, (step, said) in enumerate(zip(steps, answers, strict=True))
        if tuple(said) != (() if is_silence(step, i, steps) else answers_to(step))
    }
    return {HEARD: heard} if heard else {}


def is_silence(step: Step, i: int, steps: Sequence[Step]) -> bool:
    """Whether nothing was said to the i-th of a run's steps: most logs end with a turn, and an
    empty observation elsewhere is an empty message."""
    is_last = i + 1 == len(steps)
    return is_last and not step.observation and all(c.result is None for c in step.tool_calls)


def shape_of(run: Trajectory, num_steps: int) -> Mapping[int, Any]:
    """Equal for two runs of equal observations if and only if the messages of their first
    `num_steps` are equal, by what `info` says of them."""
    if HEARD not in run.info:
        return {}
    shapes = {}
    for i, step in enumerate(with_answers(run)[:num_steps]):
        if isinstance(step, AnsweredStep):
            shape = tuple((one.role, one.call, len(one.text)) for one in answers_to(step))
            own = tuple((o.role, o.call, len(o.text)) for o in answers_to(run.steps[i]))
            if shape != own:
                shapes[i] = shape
    return shapes


_FIX = f"it was written for other steps; delete {HEARD} from info"


def _by_results(step: Step) -> Answers | None:
    """By the calls' results, where the observation begins with these; None where it does not."""
    results = [
        Answer("tool", call.result, i)
        for i, call in enumerate(step.tool_calls)
        if call.result is not None
    ]
    told = "\n".join(answer.text for answer in results)
    rest = step.observation[len(told) :]
    if not results or not step.observation.startswith(told) or rest[:1] not in ("", "\n"):
        return None
    return (*results, *((Answer("user", rest[1:]),) if rest else ()))


def _record(answer: Answer) -> dict[str, Any]:
    to = {} if answer.call is None else {"call": answer.call}
    return {"role": answer.role, "length": len(answer.text), **to}


def _parse(listed: Any, step: Step, where: str) -> Answers:
    """The messages, cut out of the observation, which has them in the order of the calls."""
    given = [
        _parsed(one, step, f"{where}[{i}]") for i, one in enumerate(fields.array(listed, where))
    ]
    order = sorted(range(len(given)), key=lambda i: (given[i][2] is None, given[i][2] or 0))
    texts: dict[int, str] = {}
    begin = 0
    for i in order:
        end = begin + given[i][1]
        texts[i] = step.observation[begin:end]
        if step.observation[end : end + 1] not in ("", "\n"):
            break
        begin = end + 1
    if len(texts) < len(given) or begin - bool(given) != len(step.observation):
        raise InvalidInput(f"{where}: its lengths are not those of the observation: {_FIX}")
    return tuple(Answer(role, texts[i], call) for i, (role, _, call) in enumerate(given))


def _parsed(given: Any, step: Step, where: str) -> tuple[str, int, int | None]:
    record = fields.mapping(given, where)
    role, length, call = (record.get(name) for name in ("role", "length", "call"))
    if role not in ROLES:
        raise InvalidInput(f"{where}: role is {fields.shown(role)}; use {', '.join(ROLES)}: {_FIX}")
    if type(length) is not int or length < 0:
        raise InvalidInput(f"{where}: length is {fields.shown(length)}; use a number: {_FIX}")
    is_of_call = type(call) is int and 0 <= call < len(step.tool_calls)
    if is_of_call if role != "tool" else not is_of_call:
        raise InvalidInput(f"{where}: call is {fields.shown(call)}, of no tool's call: {_FIX}")
    return role, length, call
