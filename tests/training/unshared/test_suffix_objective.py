"""TreeDPO on suffixes is DPO on whole runs (docs/method.md, "What the tree adds")."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree.forest.build import build_forest
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train


def test_the_shared_prefix_cancels() -> None:
    """log pi(run+ | task) - log pi(run- | task) = log pi(s+ | h) - log pi(s- | h), for any model:
    policy or reference, and so in the loss and its gradient."""
    tokenizer = tiny_tokenizer()
    chat, model = ChatFormat(tokenizer), tiny_model(tokenizer).double()
    pairs = list(build_forest([GOOD, BAD, WORSE]).pairs())
    assert min(pair.depth for pair in pairs) == 1  # there is a prefix to cancel
    for pair in pairs:
        suffixes, runs = (
            _logprob(model, chat, pair.chosen, start) - _logprob(model, chat, pair.rejected, start)
            for start in (pair.depth, 0)
        )
        assert suffixes.item() == pytest.approx(runs.item(), abs=1e-9)


def _logprob(model: torch.nn.Module, chat: ChatFormat, run: Trajectory, start: int) -> torch.Tensor:
    """Of the agent's tokens from step `start` on, given everything before."""
    history = chat.history_ids(run.prompt, run.steps[:start])
    ids, mask = chat.steps_ids(run.steps[start:])
    with torch.inference_mode():
        logits = model(torch.tensor([history + ids])).logits[0, len(history) - 1 : -1]
    scores = logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]
    return scores[torch.tensor(mask, dtype=torch.bool)].sum()
