"""One agent turn: its text and, where a model sampled it, its token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from w2stree.turns.chat import ChatFormat


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """One agent turn: its text, the sampled ids and their log-probabilities when sampled."""

    response: str
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None


def sampled_turn(
    chat: ChatFormat, ids: Sequence[int], logprobs: Sequence[float] | None
) -> AgentTurn:
    """The turn of sampled `ids`; its text is all before the end-of-turn mark.

    A turn that was cut off, or that stopped on half of a mark of several tokens, gets the mark at
    log-probability 0, as the template would: later turns and training see a whole turn.
    """
    ids, end = list(ids), chat.end_ids
    scores = None if logprobs is None else list(logprobs)
    if ids[-len(end) :] != end:
        if ids and ids[-1] == end[-1]:
            ids.pop()
            if scores:
                scores.pop()
        ids += end
        if scores is not None:
            scores += [0.0] * len(end)
    return AgentTurn(
        response=chat.text(ids),
        token_ids=tuple(ids),
        logprobs=None if scores is None else tuple(scores),
    )
