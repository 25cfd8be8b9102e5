"""Proof, for the model at hand, that a chat's pieces joined are what its template gives.

Conversations of up to four turns are rendered whole by the template and, apart from that, piece
by piece; every id has to agree. What the texts try is what environments say: line breaks at both
ends, leading spaces, nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from w2stree.errors import InvalidInput
from w2stree.trajectories.answers import Answer, answered, answers_to
from w2stree.trajectories.tool_call import ToolCall, action_of
from w2stree.trajectories.trajectory import Message, Step

if TYPE_CHECKING:
    from w2stree.turns.chat import ChatFormat


def _tool_step(arguments: str, observation: str, response: str = "") -> Step:
    # Mistral's templates want ids of nine characters.
    calls = (ToolCall("open_it", arguments, "abcdefghi"),)
    return Step(action_of(calls), observation, response, tool_calls=calls)


_STEPS = (
    Step("go north", "You see a door.\n", "Thought: I look.\nAction: go north"),
    Step("open door", "\n  It opens.\n\n", "Action: open door\n"),
    Step("wait", "", "Action: wait"),
    Step("look", "  A lamp,\ta box.", "Thought: What is here?\nAction: look"),
)
_TOOL_STEPS = (
    _tool_step('{"what": "a fridge", "hard": true}', "It opens.\n"),
    _STEPS[0],
    _tool_step("{}", ""),
    _tool_step('{"n": 2.5, "of": ["a", "b"]}', ' {"ok": 1}\n\n', "I try."),
)
_KEEP = (
    "Use a template that keeps every turn as it was (`chat_template`: a file, one of ours, or one "
    "of TRL's such as qwen3_training), or one that asks for no thinking (`template_arguments: "
    "{enable_thinking: false}`); docs/models.md lists what fits which model"
)


def prove(chat: ChatFormat, roles: Sequence[str]) -> None:
    """Raises `InvalidInput` unless pieces joined are the template's ids, turn after turn, after a
    prompt of these roles."""
    prompt = [
        Message(role, "Action: look" if role == "assistant" else f"{role}:\n you see a door.\n")
        for role in roles
    ]
    _prove(chat, prompt, _STEPS)


def prove_tools(chat: ChatFormat) -> None:
    """Raises `InvalidInput` unless the same holds among turns of tool calls."""
    prompt = [Message("user", "Cook.")]
    turn, _ = chat.pieces(_TOOL_STEPS[0])
    if "a fridge" not in turn:
        raise InvalidInput(f"the chat template writes no arguments of tool calls ({turn!r})")
    _prove(chat, prompt, _TOOL_STEPS)


def prove_answers(chat: ChatFormat, step: Step) -> None:
    """Raises `InvalidInput` unless the same holds where a turn with as many calls is answered by as
    many messages of these roles."""
    calls = tuple(
        ToolCall("open_it", '{"what": "a fridge"}', f"abcdefg{i:02}")
        for i in range(len(step.tool_calls))
    )
    answers = [
        Answer(role, tried.observation, call)
        for (role, _, call), tried in zip(answers_to(step), cycle(_STEPS), strict=False)
    ]
    tried = answered(Step(action_of(calls), "", "Action: look", tool_calls=calls), answers)
    _prove(chat, [Message("user", "Cook.")], (_STEPS[0], tried, _STEPS[1], tried, _STEPS[0]))


def _prove(chat: ChatFormat, prompt: Sequence[Message], steps: Sequence[Step]) -> None:
    after = f"After a prompt of roles ({', '.join(message.role for message in prompt)})"
    joined, pieces = chat.template_ids(prompt, []), chat.rendering.chat(prompt)
    for number, step in enumerate(steps, start=1):
        pieces += "".join(chat.pieces(step))
        text = chat.rendering.chat(prompt, steps[:number])
        if pieces != text:
            raise InvalidInput(
                "the chat template does not render a conversation as a prefix of its "
                f"continuation. {after}, in turn {number}, the turns joined and the template's "
                f"own text part: {where_they_part(pieces, text)}"
            )
        joined += chat.response_ids(step) + chat.answer_ids(step)
        whole = chat.template_ids(prompt, steps[:number])
        if joined != whole:
            raise InvalidInput(
                "the tokenizer reads a whole chat otherwise than its pieces: "
                + _where_ids_part(chat, joined, whole)
                + (f". {_KEEP}" if "think" in chat.opening[-20:] else "")
            )


def prove_thinking(chat: ChatFormat) -> None:
    """Raises `InvalidInput` where the template drops what an earlier turn thought, or writes before
    an answer what the agent would write otherwise.

    A generation prompt that has closed the thinking itself (`enable_thinking: false`) asks for
    none; Gemma 4 asks for it in its first message.
    """
    opening = chat.opening.rstrip()
    if opening.endswith("</think>"):
        return
    if "<|think|>" in opening:
        thought = "<|channel>thought\nI look.\n<channel|>Action: go north"
    elif opening.endswith("<think>"):
        thought = "I look.\n</think>\n\nAction: go north"
    else:
        thought = "<think>\nI look.\n</think>\n\nAction: go north"
    kept = chat.written_turn(thought)
    if "I look." not in kept:
        raise InvalidInput(
            "the chat template drops what earlier turns thought: "
            f"{thought!r} becomes {kept!r}. Models would learn from other histories than they "
            f"acted in. {_KEEP}"
        )
    if chat.lead.strip() and kept != thought:
        raise InvalidInput(
            f"the chat template writes {chat.lead!r} before the answers of earlier turns, which "
            "the agent itself would have to write, or something else in its place (a channel, a "
            f"block of thinking), that the template then drops. {_KEEP}"
        )


def where_they_part(ours: str, theirs: str) -> str:
    """The template's text around the first difference of what was expected and what there is."""
    at = num_shared(ours, theirs)
    ours, around, theirs = ours[at : at + 60], theirs[max(0, at - 40) : at], theirs[at : at + 60]
    parts = f"after {around!r} one has {ours!r}, the other {theirs!r}"
    return f"{parts}. {_KEEP}" if "think" in f"{around}{ours}{theirs}" else parts


def num_shared(a: str, b: str) -> int:
    """How many characters two texts begin with in common."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((at for at, (of_a, of_b) in pairs if of_a != of_b), min(len(a), len(b)))


def _where_ids_part(chat: ChatFormat, ours: Sequence[int], theirs: Sequence[int]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
    name = chat.tokenizer.convert_ids_to_tokens
    return (
        f"after {name(list(theirs[max(0, at - 4) : at]))} come {name(list(ours[at : at + 4]))}, "
        f"but {name(list(theirs[at : at + 4]))} in the whole"
    )
