"""Chat messages as a prompt and steps, and back.

system     ┐ prompt: up to the assistant's first, or as chosen
user       ┘
assistant  ┐ a step: response, tool calls; its action
tool       │         the observation: what comes before the next turn
user       ┘
assistant  …
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.reader import Reader
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import ToolCall, action_of
from w2stree.trajectories.trajectory import Message, Status, Step, Trajectory, refuse_wordless
from w2stree.turns.react import logged_action

ROLES = ("system", "user", "assistant", "tool")

_LINE = "an Action: line"
_WHOLE = "the whole turn"


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `calls` are an assistant's; `answers` is the id of the call that a tool's
    message answers, where that is said; `action` is what a turn in words did, where the format
    says so."""

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...]


def read_conversation(
    messages: Sequence[Said], where: str, reader: Reader, *, num_prompt: int | None = None
) -> Conversation:
    """The prompt and the steps of one run's messages.

    The prompt is `num_prompt` messages (where the format says it), or as chosen, or all before the
    assistant's first. A step is a turn of the assistant and all that was said to it before the
    next, joined by line breaks: the answers to its calls in their order, then the words. Texts of
    a turn with tool calls are its `response`, and the calls its action; for others
    `Choices.action` decides, or the format where it says what they did.

    Raises `InvalidInput`, beginning with `where`, for unknown roles, for tools in the prompt, for a
    prompt after which the assistant does not speak, and for an answer to a call that its turn did
    not make.
    """
    for i, message in enumerate(messages):
        if message.role not in ROLES:
            known = ", ".join(ROLES)
            raise InvalidInput(
                f"{where}: message {i + 1} has the role {message.role!r}; use {known}"
            )
    end = _end_of_prompt(messages, where, reader, num_prompt)
    prompt = tuple(_of_prompt(messages[i], i, where) for i in range(end))
    turns = [i for i in range(end, len(messages)) if messages[i].role == "assistant"]
    if end < len(messages) and messages[end].role != "assistant":
        raise InvalidInput(
            f"{where}: after the prompt of {end} messages comes one of the {messages[end].role}; "
            "choose a prompt after which the assistant speaks (prompt=, --prompt)"
        )
    find = _action_finder([messages[i] for i in turns], reader)
    bounds = [*turns, len(messages)]
    steps = tuple(
        _step(messages[begin], messages[begin + 1 : after], f"{where}: message {begin + 1}", find)
        for begin, after in pairwise(bounds)
    )
    return Conversation(prompt, steps)


def messages_of(trajectory: Trajectory) -> list[Said]:
    """The messages of a run, which `read_conversation` makes it from again.

    Raises `InvalidInput` where a step has an action and not the words that it came of.
    """
    refuse_wordless(trajectory.steps, f"task {trajectory.task_id!r}")
    messages = [Said(message.role, message.content) for message in trajectory.prompt]
    for step in trajectory.steps:
        messages.append(Said("assistant", step.response, step.tool_calls))
        messages += _answers(step)
    return messages


def _end_of_prompt(
    messages: Sequence[Said], where: str, reader: Reader, num_prompt: int | None
) -> int:
    chosen = reader.choices.prompt
    if callable(chosen):
        end, how = chosen(messages), "a function"
    elif chosen is not None:
        end, how = chosen, f"{chosen} messages"
    elif num_prompt is not None:
        end, how = num_prompt, "as the format says"
    else:
        roles = [message.role for message in messages]
        end = roles.index("assistant") if "assistant" in roles else len(roles)
        how = "before the assistant's first message"
    if not isinstance(end, int) or not 0 <= end <= len(messages):
        raise InvalidInput(
            f"{where}: a prompt of {end} messages, and there are {len(messages)} in all (prompt=, "
            "--prompt)"
        )
    reader.note("prompt", how)
    return end


def _of_prompt(message: Said, i: int, where: str) -> Message:
    if message.role == "tool" or message.calls:
        raise InvalidInput(
            f"{where}: message {i + 1}, in the prompt, is a tool's or calls one, which a prompt "
            "cannot hold: choose a shorter prompt (prompt=, --prompt)"
        )
    return Message(message.role, message.text)


def _step(turn: Said, answers: Sequence[Said], where: str, find: Callable[[Said], str]) -> Step:
    observation = "\n".join(answer.text for answer in answers)
    if not turn.calls:
        for answer in answers:
            if answer.role == "tool":
                raise InvalidInput(f"{where}: a tool answers it, and it called none")
        return Step(find(turn), observation, turn.text)
    if _is_one_answer(turn, answers):
        return Step(action_of(turn.calls), observation, turn.text, tool_calls=turn.calls)
    calls = _answered(turn, answers, where)
    # In the order of the calls, in whichever order they were answered: one observation is one text.
    results = [call.result for call in calls if call.result is not None]
    words = [answer.text for answer in answers if answer.role != "tool"]
    return Step(action_of(calls), "\n".join([*results, *words]), turn.text, tool_calls=calls)


def _is_one_answer(turn: Said, answers: Sequence[Said]) -> bool:
    """The observation is then the one call's result, and need not be said twice."""
    return (
        len(turn.calls) == len(answers) == 1
        and answers[0].role == "tool"
        and answers[0].answers in (None, turn.calls[0].id)
    )


def _answered(turn: Said, answers: Sequence[Said], where: str) -> tuple[ToolCall, ...]:
    """The calls with their results: by id, or in their order where no id is given."""
    results: dict[int, str] = {}
    for answer in (a for a in answers if a.role == "tool"):
        free = [i for i in range(len(turn.calls)) if i not in results]
        if answer.answers is not None:
            free = [i for i in free if turn.calls[i].id == answer.answers]
        if not free:
            whose = "" if answer.answers is None else f" {answer.answers!r}"
            raise InvalidInput(
                f"{where}: a tool answers a call{whose} that it did not make, or that was answered"
            )
        results[free[0]] = answer.text
    return tuple(replace(call, result=results.get(i)) for i, call in enumerate(turn.calls))


def _answers(step: Step) -> Iterator[Said]:
    """What was said to a turn: to each call its result, then what is left of the observation."""
    if not step.tool_calls:
        if step.observation:
            yield Said("user", step.observation)
        return
    calls = step.tool_calls
    if len(calls) == 1 and calls[0].result is None:
        if step.observation:
            yield Said("tool", step.observation, answers=calls[0].id)
        return
    results = [call for call in calls if call.result is not None]
    for call in results:
        yield Said("tool", call.result or "", answers=call.id)
    told = "\n".join(call.result or "" for call in results)
    if results and step.observation.startswith(told):
        rest = step.observation[len(told) :]
        if rest.startswith("\n"):
            yield Said("user", rest[1:])
    elif step.observation:
        yield Said("user", step.observation)


def _action_finder(turns: Sequence[Said], reader: Reader) -> Callable[[Said], str]:
    """What reads the action of a turn in words; "" where it has none."""
    worded = [turn for turn in turns if not turn.calls]
    if not worded:
        if turns:
            reader.note("action", "tool calls")
        return lambda turn: ""
    if reader.choices.action is None and all(turn.action is not None for turn in worded):
        reader.note("action", "as the format says")
        return lambda turn: turn.action or ""
    find = _text_finder([turn.text for turn in worded], reader)
    return lambda turn: find(turn.text)


def _text_finder(turns: Sequence[str], reader: Reader) -> Callable[[str], str]:
    chosen = reader.choices.action
    if callable(chosen):
        reader.note("action", "a function")
        return lambda turn: chosen(turn) or ""
    if chosen is None or isinstance(chosen, str):
        return _known_finder(turns, chosen, reader)
    reader.note("action", f"the pattern {chosen.pattern}")

    def search(turn: str) -> str:
        match = chosen.search(turn)
        if match is None:
            return ""
        return ((match[1] if chosen.groups else match[0]) or "").strip()

    return search


def _known_finder(turns: Sequence[str], chosen: str | None, reader: Reader) -> Callable[[str], str]:
    """By "react" or "turn"; for None the former where half of the turns and more have such a line,
    so that one in a summary does not make all other turns ones without an action."""
    lines = {} if chosen == "turn" else {turn: logged_action(turn) for turn in turns}
    num_without = sum(lines.get(turn) is None for turn in turns)
    if chosen == "turn" or (chosen is None and 2 * num_without > len(turns)):
        is_told = chosen == "turn" or num_without == len(turns)
        reader.note("action", _WHOLE if is_told else f"{_WHOLE}, though some have an Action: line")
        return str
    follow = any(line is not None and "\n" in line for line in lines.values())
    said = f"{_LINE} and the lines after it" if follow else _LINE
    reader.note("action", f"{said}, none in turns without one" if num_without else said)
    return lambda turn: lines[turn] or ""


def run_of(
    conversation: Conversation,
    where: str,
    *,
    task_id: str,
    total_return: float,
    status: Status,
    origin: Origin,
    info: Mapping[str, Any],
) -> Trajectory:
    """The trajectory; raises `InvalidInput`, beginning with `where`, for an `info` that cannot be
    written as JSON and read again equal."""
    prompt, steps = conversation.prompt, conversation.steps
    try:
        return Trajectory(task_id, prompt, steps, total_return, status, origin, info)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None
