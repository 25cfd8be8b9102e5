"""What was said up to the end of a call, and whether calls are one conversation.

chat   system, user                     ──> assistant     how the next one begins
chat   system, user, assistant, tool    ──> assistant     all of it
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import Said
from w2stree.formats.telemetry_agents import INPUT, OUTPUT
from w2stree.formats.telemetry_messages import said_of, texts_of
from w2stree.formats.telemetry_spans import Span
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json

SYSTEM = "gen_ai.system_instructions"
CONVERSATION = "gen_ai.conversation.id"


def history_of(span: Span) -> tuple[list[Said], dict[int, list[str]]]:
    """All that was said up to this call's end, and by its numbers what was only thought."""
    said: list[Said] = []
    thoughts: dict[int, list[str]] = {}
    system = given(span, SYSTEM)
    if system:
        said.append(Said("system", "\n".join(texts_of(system, f"{span.where}: {SYSTEM}"))))
    output = given(span, OUTPUT)
    if len(output) > 1:
        raise InvalidInput(
            f"{span.where}: {OUTPUT} has {len(output)} choices; which of them the run went on "
            "with is not said"
        )
    for name, messages in ((INPUT, given(span, INPUT)), (OUTPUT, output)):
        for i, message in enumerate(messages):
            spoken, thought = said_of(message, f"{span.where}: {name}[{i}]")
            if thought:
                thoughts[len(said)] = thought
            said += spoken
    return said, thoughts


def given(span: Span, name: str) -> Sequence[Any]:
    """Structured, or as the JSON text that spans may have for it."""
    value = span.get(name)
    if value is None:
        return []
    where = f"{span.where}: {name}"
    return fields.array(parse_json(value, where) if isinstance(value, str) else value, where)


def refuse_other_history(
    before: Sequence[Said], history: Sequence[Said], call: Span, last: Span
) -> None:
    i = _num_shared(before, history)
    if i == len(before):
        return
    raise InvalidInput(
        f"{call.where}: its message {i + 1} is not that of the last call ({last.where}), so these "
        "calls are no one conversation: several agents, a call that was made again, or a history "
        f"that was cut; give each its own {CONVERSATION}"
    )


def _num_shared(one: Sequence[Said], other: Sequence[Said]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    differing = (i for i, (a, b) in pairs if _words(a) != _words(b))
    return next(differing, min(len(one), len(other)))


def _words(said: Said) -> tuple[Any, ...]:
    return said.role, said.text, tuple((call.name, call.arguments) for call in said.calls)


def refuse_conversation(calls: Sequence[Span]) -> None:
    """A title, a route or a check is asked once. Calls outside of the agents of which one goes on
    with another are an agent's turns too, and which of the two is the run is not said."""
    said = [history_of(call)[0] for call in calls] if len(calls) > 1 else []
    for (call, one), (other, longer) in permutations(zip(calls, said, strict=False), 2):
        if len(one) < len(longer) and _num_shared(one, longer) == len(one):
            raise InvalidInput(
                f"{other.where}: goes on with {call.where}, and both are outside of the agents "
                "(invoke_agent) of this run: which of the conversations is the run is not said; "
                "take the spans of the others out of the file"
            )
