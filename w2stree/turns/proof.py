"""Proof, for the model at hand, that a chat's pieces joined are what its template gives.

Conversations of up to four turns are rendered whole by the template and, apart from that, piece
by piece; every id has to agree. What the texts try is what environments say: line breaks at both
ends, leading spaces, nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Message, Step

if TYPE_CHECKING:
    from w2stree.turns.chat import ChatFormat

_STEPS = (
    Step("go north", "You see a door.\n", "Thought: I look.\nAction: go north"),
    Step("open door", "\n  It opens.\n\n", "Action: open door\n"),
    Step("wait", "", "Action: wait"),
    Step("look", "  A lamp,\ta box.", "Thought: What is here?\nAction: look"),
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
    messages, pieces = list(prompt), chat.template_text(prompt)
    for number, step in enumerate(_STEPS, start=1):
        messages += [Message("assistant", step.response), Message("user", step.observation)]
        text = chat.template_text(messages)
        pieces += chat.turn_piece(step.response) + chat.end
        pieces += chat.observation_piece(step.observation)
        if pieces != text:
            raise InvalidInput(
                f"{_after(roles)}, the chat template does not render a conversation as a prefix of "
                f"its continuation. In turn {number} the turns joined and the template's own text "
                f"part: {where_they_part(pieces, text)}"
            )
        joined = chat.template_ids(prompt)
        for earlier in _STEPS[:number]:
            joined += chat.turn_ids(earlier.response) + chat.observation_ids(earlier.observation)
        whole = chat.template_ids(messages)
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


def _after(roles: Sequence[str]) -> str:
    return f"after a prompt of roles ({', '.join(roles)})"
