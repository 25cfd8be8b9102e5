"""One agent turn: its text and, where a model sampled it, its token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2stree.trajectories.tool_call import ToolCall
from w2stree.turns.chat import ChatFormat


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """One agent turn: its text, the sampled ids and their log-probabilities when sampled.

    `tool_calls`, `is_cut` as in `Step`. `begins_in_thinking`: what it was asked with had opened a
    block of thinking (`w2stree.turns.thinking`). `num_tokens`: how many were sampled, as the server
    counts them, where it gives no ids.
    """

    response: str
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    is_cut: bool = False
    begins_in_thinking: bool = False
    num_tokens: int | None = None


def sampled_turn(
    chat: ChatFormat,
    ids: Sequence[int],
    logprobs: Sequence[float] | None,
    *,
    is_cut: bool = False,
) -> AgentTurn:
    """The turn of sampled `ids`; its text is all before the end-of-turn mark.

    A turn that stopped on half of a mark of several tokens, or on another mark of the model's own
    (`ChatFormat.stop_ids`), gets the template's mark at log-probability 0, and so does one that
    was cut off, as the template would: later turns see a whole turn. Who put it there is kept:
    `is_cut` says that the ids came with a mark that the model did not set, and ids without any are
    cut.
    """
    ids, end = list(ids), chat.end_ids
    scores = None if logprobs is None else list(logprobs)
    if ids[-len(end) :] != end:
        if ids and (ids[-1] == end[-1] or ids[-1] in chat.stop_ids):
            ids.pop()
            if scores:
                scores.pop()
        else:
            is_cut = True
        ids += end
        if scores is not None:
            scores += [0.0] * len(end)
    return AgentTurn(
        response=chat.text(ids),
        token_ids=tuple(ids),
        logprobs=None if scores is None else tuple(scores),
        is_cut=is_cut,
        begins_in_thinking=chat.begins_in_thinking,
    )
