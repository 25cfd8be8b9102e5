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
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.reader import Reader
from w2stree.trajectories.answers import (
    HEARD,
    Answer,
    AnsweredStep,
    Answers,
    answers_to,
    has_results,
    heard_of,
    in_order_of_calls,
    is_silence,
    with_answers,
)
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
    says so. `number`: which of the record's messages it is of, from 0, where one of these is
    several here or several are one."""

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: str | None = None
    action: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    prompt: tuple[Message, ...]
    steps: tuple[Step, ...]
    heard: Mapping[str, Any] = field(default_factory=dict)
    """For the run's `info`: the messages of its observations (`trajectories.answers`)."""

    def with_heard(self, info: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The run's `info` with them; raises `InvalidInput` for one that has that name."""
        if HEARD in info:
            raise InvalidInput(
                f"{where}: has a field {HEARD}, which is where w2stree keeps who said what between "
                "two turns: give the field another name"
            )
        return {**info, **self.heard}


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
    not make, or an earlier one.
    """
    for i, message in enumerate(messages):
        if message.role not in ROLES:
            known = ", ".join(ROLES)
            raise InvalidInput(
                f"{where}: {_place(messages, i)} has the role {message.role!r}; use {known}"
            )
    end = _end_of_prompt(messages, where, reader, num_prompt)
    prompt = tuple(_of_prompt(messages, i, where) for i in range(end))
    turns = [i for i in range(end, len(messages)) if messages[i].role == "assistant"]
    if end < len(messages) and messages[end].role != "assistant":
        raise InvalidInput(
            f"{where}: after the prompt of {end} messages comes one of the {messages[end].role}; "
            "choose a prompt after which the assistant speaks (prompt=, --prompt)"
        )
    _refuse_late_answers(messages, where)
    find = _action_finder([messages[i] for i in turns], reader)
    bounds = [*turns, len(messages)]
    steps, answers = [], []
    for begin, after in pairwise(bounds):
        place, told = f"{where}: {_place(messages, begin)}", messages[begin + 1 : after]
        answers.append(_answers(messages[begin], told, place))
        steps.append(_step(messages[begin], answers[-1], find))
    return Conversation(prompt, tuple(steps), heard_of(steps, answers))


def messages_of(trajectory: Trajectory) -> list[Said]:
    """The messages of a run, as they were said: `read_conversation` makes it from them again.

    Raises `InvalidInput` where a step has an action and not the words that it came of.
    """
    refuse_wordless(trajectory.steps, f"task {trajectory.task_id!r}")
    messages = [Said(message.role, message.content) for message in trajectory.prompt]
    for i, step in enumerate(with_answers(trajectory)):
        messages.append(Said("assistant", step.response, step.tool_calls))
        if isinstance(step, AnsweredStep):
            messages += _said_to(step, step.answers)
        elif not is_silence(step, i, trajectory.steps):
            messages += _said_to(step, _own_answers(step))
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


def _place(messages: Sequence[Said], i: int) -> str:
    number = messages[i].number
    return f"message {(i if number is None else number) + 1}"


def _refuse_late_answers(messages: Sequence[Said], where: str) -> None:
    """Of a call that an earlier turn made: a step's observation is what its own turn was told."""
    made: dict[str | None, int] = {}
    turn = -1
    for i, message in enumerate(messages):
        if message.role == "assistant":
            turn = i
            made |= {call.id: i for call in message.calls if call.id is not None}
        elif message.role == "tool" and (of := made.get(message.answers, turn)) != turn:
            raise InvalidInput(
                f"{where}: {_place(messages, i)} answers the call {message.answers!r} of "
                f"{_place(messages, of)}, after another turn of the assistant "
                f"({_place(messages, turn)}): put the answer before that turn; where the calls "
                "were made at once, give each of them its answer"
            )


def _of_prompt(messages: Sequence[Said], i: int, where: str) -> Message:
    message = messages[i]
    if message.role == "tool" or message.calls:
        raise InvalidInput(
            f"{where}: {_place(messages, i)}, in the prompt, is a tool's or calls one, which a "
            "prompt cannot hold: a shorter one (prompt=, --prompt) makes examples of calls turns "
            "of the agent; write them into a message as text, or take them out of the records"
        )
    return Message(message.role, message.text)


def _step(turn: Said, answers: Sequence[Answer], find: Callable[[Said], str]) -> Step:
    # In the order of the calls, in whichever order they were answered: one observation is one text.
    observation = "\n".join(answer.text for answer in in_order_of_calls(answers))
    if not turn.calls:
        return Step(find(turn), observation, turn.text)
    calls = turn.calls
    if not (len(calls) == len(answers) == 1 and answers[0].role == "tool"):
        results = {one.call: one.text for one in answers}  # else the observation is the one result
        calls = tuple(replace(call, result=results.get(i)) for i, call in enumerate(calls))
    return Step(action_of(calls), observation, turn.text, tool_calls=calls)


def _answers(turn: Said, told: Sequence[Said], where: str) -> list[Answer]:
    """What was said to a turn; a tool answers a call by its id, or the first that is left."""
    answers = []
    free = list(range(len(turn.calls)))
    for one in told:
        if one.role != "tool":
            answers.append(Answer(one.role, one.text))
            continue
        if not turn.calls:
            raise InvalidInput(f"{where}: a tool answers it, and it called none")
        named = [i for i in free if one.answers in (None, turn.calls[i].id)]
        if not named:
            whose = "" if one.answers is None else f" {one.answers!r}"
            raise InvalidInput(
                f"{where}: a tool answers a call{whose} that it did not make, or that was answered"
            )
        free.remove(named[0])
        answers.append(Answer("tool", one.text, named[0]))
    return answers


def _own_answers(step: Step) -> Answers:
    """Those that a step says itself; of several calls without results somebody's words, since a
    result for each would be another step."""
    if len(step.tool_calls) < 2 or has_results(step):
        return answers_to(step)
    return (Answer("user", step.observation),) if step.observation else ()


def _said_to(step: Step, answers: Answers) -> Iterator[Said]:
    for role, text, call in answers:
        yield Said(role, text, answers=None if call is None else step.tool_calls[call].id)


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
    info = conversation.with_heard(info, where)
    try:
        return Trajectory(task_id, prompt, steps, total_return, status, origin, info)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None
