"""Losses and gradients of packs are those of one sequence at a time."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from w2stree.training.trees.examples import Example, ExampleTensors  # noqa: E402
from w2stree.training.trees.objectives import Dpo  # noqa: E402
from w2stree.training.trees.pack import pack  # noqa: E402
from w2stree.training.trees.scores import PackTensors, scores  # noqa: E402
from w2stree.training.trees.sequences import ScoredIds  # noqa: E402

pytestmark = pytest.mark.train


def _model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=11,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).double().eval()


def _examples(seed: int) -> list[Example]:
    draw = np.random.default_rng(seed)

    def sequence(tree: int) -> ScoredIds:
        ids = draw.integers(0, 3, draw.integers(2, 9))
        weight = draw.integers(0, 2, len(ids))
        weight[0], weight[-1] = 0, 1
        return ScoredIds.of(ids, weight, tree)

    return [
        Example((sequence(t), sequence(t)), (1.0, 0.0), (0.1, -0.2))
        for t in draw.integers(0, 3, 12).tolist()
    ]


def _alone(model: LlamaForCausalLM, sequence: ScoredIds) -> torch.Tensor:
    ids = torch.from_numpy(sequence.ids).long()
    logprobs = model(input_ids=ids[None]).logits[0, :-1].log_softmax(-1)
    return (logprobs.gather(1, ids[1:, None])[:, 0] * torch.from_numpy(sequence.weight)[1:]).sum()


@pytest.mark.parametrize("seed", range(5))
def test_dpo_on_a_pack_is_dpo_on_each_sequence(seed: int) -> None:
    model, examples = _model(), _examples(seed)
    sequences = [s for e in examples for s in e.sequences]
    columns, objective = ExampleTensors.of(examples), Dpo(beta=0.3, sft_weight=0.5)
    totals = objective.count(columns)
    losses, gradients = [], []
    apart = torch.stack([_alone(model, s) for s in sequences])
    together = scores(model, PackTensors.of(pack(sequences)))
    for found in (apart, together):
        loss = objective.loss(found, columns, totals)
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
