"""What stands in a message's `content`: a text, parts of texts, or Anthropic's content blocks.

    assistant  thinking, text, tool_use, tool_use        a thought, words, two calls
    user       tool_result, tool_result, text            their answers, and the user's words

    {"role": "assistant", "content": [
      {"type": "thinking", "thinking": "Where?", "signature": "…"},
      {"type": "text", "text": "I look."},
      {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}]}
    {"role": "user", "content": [
      {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain.", "is_error": false}]}

Source: `ContentBlock` and `ContentBlockParam` of Anthropic's Messages API. How thinking is named
beside a text (`reasoning_content`, `thinking_blocks`) is LiteLLM's way of writing it for OpenAI's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import Said
from w2stree.formats.reader import Record
from w2stree.formats.tool_calls import call_of
from w2stree.shorten import quoted
from w2stree.trajectories import fields
from w2stree.trajectories.tool_call import ToolCall

BESIDE = "content_blocks"
"""In what a message has beside: by a block's number in `content`, what that has beside."""

_READ = {
    "tool_use": ("type", "id", "name", "input"),
    "tool_result": ("type", "tool_use_id", "content", "is_error"),
}
_OF_TEXT = ("type", "text", "refusal", "citations")
_SPEAKER = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "tool_result": "user",
}
_SKIP = "leave such runs out (on_error=skip, --on-error skip)"


@dataclass(slots=True)
class Blocks:
    """`texts` are the message's own; `answers` are its tools', each with what it has beside;
    `thoughts` are blocks as they were; `beside` is what the other blocks have beside, by number."""

    texts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    answers: list[tuple[Said, dict[str, Any]]] = field(default_factory=list)
    thoughts: list[Record] = field(default_factory=list)
    beside: dict[str, Any] = field(default_factory=dict)


def text_of(content: Any, where: str) -> str:
    """A text, or the texts of its parts one after the other; nothing is "". Raises `InvalidInput`
    for a part that is no text: a picture is no part of a tree of texts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return fields.text(content, where)
    parts = fields.array(content, where)
    return "".join(_text_of_part(part, f"{where}[{i}]") for i, part in enumerate(parts))


def blocks_of(content: Sequence[Any], role: str, where: str) -> Blocks:
    """The blocks of a message of this role.

    Raises `InvalidInput`, naming the block, for what is no text, call, answer or thought (pictures,
    documents, tools that the server ran), for citations, and for a block that is another role's.
    """
    found = Blocks()
    for i, block in enumerate(content):
        place = f"{where}[{i}]"
        kind = _kind_of(block)
        if role != (speaker := _SPEAKER.get(kind, role)):
            raise InvalidInput(
                f"{place}: a {kind} in a message of the {role}; it stands in one of the {speaker}"
            )
        if kind in ("thinking", "redacted_thinking"):
            found.thoughts.append(fields.mapping(block, place))
        elif kind == "tool_result":
            found.answers.append(_answer(block, i, place))
        else:
            if kind == "tool_use":
                found.calls.append(_call(block, place))
            else:
                found.texts.append(_words(block, place))
            if more := _beside(block, _READ.get(kind, _OF_TEXT)):
                found.beside[str(i)] = more
    return found


def thought_in(blocks: Blocks, given: Record, where: str) -> dict[str, Any]:
    """What was thought, as it stands beside a text: `reasoning_content`, and the blocks themselves
    where that does not say all (signatures, what is hidden, several of them)."""
    if not blocks.thoughts:
        return {}
    shown = [block for block in blocks.thoughts if block.get("type") == "thinking"]
    text = "".join(text_of(block.get("thinking"), f"{where}: thinking") for block in shown)
    is_all = len(blocks.thoughts) == len(shown) == 1 and _is_bare(shown[0])
    told = given.get("reasoning_content")
    thought: dict[str, Any] = {} if told is not None or not shown else {"reasoning_content": text}
    return thought if is_all and told in (None, text) else thought | {"thinking_blocks": [
        {k: v for k, v in block.items() if v is not None} for block in blocks.thoughts
    ]}  # fmt: skip


def _is_bare(thought: Record) -> bool:
    return isinstance(thought.get("thinking"), str) and not _beside(thought, ("type", "thinking"))


def _kind_of(block: Any) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else ""


def _call(block: Record, where: str) -> ToolCall:
    call = {"name": block.get("name"), "arguments": block.get("input"), "id": block.get("id")}
    return call_of(call, where)


def _answer(block: Record, i: int, where: str) -> tuple[Said, dict[str, Any]]:
    answers, failed = block.get("tool_use_id"), block.get("is_error")
    said = Said(
        "tool",
        _result(block.get("content"), f"{where}.content"),
        answers=None if answers is None else fields.text(answers, f"{where}.tool_use_id"),
    )
    more = _beside(block, _READ["tool_result"])
    if isinstance(content := block.get("content"), list | tuple):
        parts = {
            str(n): kept for n, part in enumerate(content) if (kept := _beside(part, _OF_TEXT))
        }
        more |= {"content": parts} if parts else {}
    is_error = failed is not None and fields.truth(failed, f"{where}.is_error")
    return said, ({"is_error": True} if is_error else {}) | (
        {BESIDE: {str(i): more}} if more else {}
    )


def _result(content: Any, where: str) -> str:
    if not isinstance(content, list | tuple):
        return text_of(content, where)
    return "".join(_words(part, f"{where}[{i}]") for i, part in enumerate(content))


def _words(part: Any, where: str) -> str:
    kind = _kind_of(part)
    if kind in ("server_tool_use", "mcp_tool_use") or kind.endswith("_tool_result"):
        raise InvalidInput(
            f"{where} is of the type {quoted(kind, 40)}, of a tool that the server ran while the "
            f"model spoke: it answers no call of a turn's, and a step has no place for it; {_SKIP}"
        )
    if isinstance(part, dict) and part.get("citations"):
        raise InvalidInput(
            f"{where} has citations, which a text has no place for: delete its citations, or "
            f"{_SKIP}"
        )
    return _text_of_part(part, where)


def _beside(block: Any, read: Sequence[str]) -> dict[str, Any]:
    """What nobody asked for is not there: nulls and empty arrays, as the API writes them."""
    if not isinstance(block, dict):
        return {}
    return {k: v for k, v in block.items() if k not in read and v is not None and v != []}


def _text_of_part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return fields.text(part, where)
    given = fields.mapping(part, where)
    for name in ("text", "refusal"):
        if isinstance(given.get(name), str):
            return fields.text(given[name], f"{where}.{name}")
    raise InvalidInput(
        f"{where} is of the type {quoted(str(given.get('type')), 40)} and has no text; only texts "
        "can be read: put a text in its place, or leave such runs out (on_error=skip, --on-error "
        "skip)"
    )
