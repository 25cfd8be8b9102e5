"""Random trees of token sequences, a model small enough for hundreds of them, and the oracle: each
sequence by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama import modeling_llama

from w2stree.training.trees.examples import Example
from w2stree.training.trees.sequences import ScoredIds

VOCABULARY = 7


def token_model(dtype: torch.dtype = torch.float64, **settings: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": 8,
            "intermediate_size": 12,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 64,
            "initializer_range": 0.5,  # far from uniform, so that no mistake is small
            **settings,
        }
    )
    return LlamaForCausalLM(config).to(dtype).eval()


@contextmanager
def norms_in_full() -> Iterator[None]:
    """Llama's norm computes in float32 whatever it is given; within, in what it is given."""

    def forward(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        mean = hidden.pow(2).mean(-1, keepdim=True)
        return self.weight * hidden * torch.rsqrt(mean + self.variance_epsilon)

    before = modeling_llama.LlamaRMSNorm.forward
    modeling_llama.LlamaRMSNorm.forward = forward
    try:
        yield
    finally:
        modeling_llama.LlamaRMSNorm.forward = before


def alone(model: Any, sequence: ScoredIds) -> torch.Tensor:
    """The score of one sequence, by a pass of its own through the model's own logits."""
    ids = torch.from_numpy(sequence.ids).long()
    weight = torch.from_numpy(sequence.weight)
    logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
    logprobs = logits.log_softmax(-1).gather(1, ids[1:, None])[:, 0]
    return (logprobs * weight[1:].to(logprobs)).sum()


class Apart:
    """Scores of sequences and their gradients, each sequence by itself (equal ones once)."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._found: dict[bytes, tuple[float, torch.Tensor]] = {}

    def of(self, sequences: Sequence[ScoredIds]) -> tuple[torch.Tensor, torch.Tensor]:
        """`[num_sequences]` scores and `[num_sequences, num_weights]` their gradients."""
        found = [self._one(s) for s in sequences]
        return torch.tensor([s for s, _ in found], dtype=torch.float64), torch.stack(
            [g for _, g in found]
        ).double()

    def _one(self, sequence: ScoredIds) -> tuple[float, torch.Tensor]:
        key = sequence.ids.tobytes() + b"|" + sequence.weight.tobytes()
        if key not in self._found:
            self._model.zero_grad()
            score = alone(self._model, sequence)
            score.backward()
            self._found[key] = (score.item(), gradient(self._model))
        return self._found[key]


def gradient(model: Any) -> torch.Tensor:
    """`[num_weights]` of all weights, one after the other."""
    return torch.cat([w.grad.detach().flatten().double() for w in model.parameters()])


def random_sequences(draw: np.random.Generator) -> list[tuple[int, list[int]]]:
    """(tree, ids) of one to eight trees: ones that begin as others do, end inside others, branch
    in one token, and are there twice."""
    sequences: list[tuple[int, list[int]]] = []
    for tree in range(draw.integers(1, 9)):
        mine = [draw.integers(0, VOCABULARY, draw.integers(2, 5)).tolist()]
        for _ in range(draw.integers(1, 9)):
            base = mine[draw.integers(len(mine))]
            kind = draw.integers(8)
            if kind == 0:
                mine.append(base)  # a duplicate
            elif kind == 1:
                mine.append(base[: draw.integers(2, len(base) + 1)])  # ends inside
            else:
                shared = base[: draw.integers(1, len(base) + 1)]
                length = 1 if kind < 4 else draw.integers(1, 5)
                mine.append(shared + draw.integers(0, 3, max(length, 2 - len(shared))).tolist())
        sequences += [(tree, ids) for ids in mine]
    order = draw.permutation(len(sequences))
    return [sequences[i] for i in order[:16].tolist()]


def sft_examples(draw: np.random.Generator) -> list[Example]:
    """Some of the tokens of each sequence, some sequences several times."""
    return [
        Example((_masked(draw, tree, ids, 1),), weight=float(draw.integers(1, 4)))
        for tree, ids in random_sequences(draw)
    ]


def advantage_examples(draw: np.random.Generator) -> list[Example]:
    found = []
    for tree, ids in random_sequences(draw):
        weight = draw.normal(size=len(ids)).round(2) * draw.integers(0, 2, len(ids))
        weight[0] = 0
        found.append(Example((ScoredIds.of(ids, weight, tree),)))
    return found


def pairs(
    draw: np.random.Generator, *, completion: str, confident: bool = True, reference: bool = True
) -> list[Example]:
    """Two sequences of a tree, compared after they part: a few tokens, or all but some."""
    sequences = random_sequences(draw)
    found = []
    for tree, ids in sequences:
        siblings = [other for its, other in sequences if its == tree]
        other = siblings[draw.integers(len(siblings))]
        parted = next((i for i, (a, b) in enumerate(zip(ids, other, strict=False)) if a != b), 1)
        sides = []
        for side in (ids, other):
            end = min(len(side), parted + 2) if completion == "step" else len(side)
            sides.append(_masked(draw, tree, side[:end], parted))
        sure = 1.0 if confident else float(draw.uniform(0.6, 1.0))
        target = () if confident and draw.integers(2) else (sure, 1 - sure)
        scores = tuple(draw.normal(-4, 2, 2).tolist()) if reference else ()
        found.append(Example(tuple(sides), target, scores, float(draw.integers(1, 3))))
    return found


def groups(draw: np.random.Generator) -> list[Example]:
    """Two to five sequences of a tree."""
    sequences = random_sequences(draw)
    found = []
    for tree, ids in sequences:
        siblings = [other for its, other in sequences if its == tree]
        chosen = [ids] + [
            siblings[draw.integers(len(siblings))] for _ in range(draw.integers(1, 5))
        ]
        share = draw.dirichlet(np.ones(len(chosen)))
        found.append(
            Example(
                tuple(_masked(draw, tree, c, 1) for c in chosen),
                tuple(share.tolist()),
                tuple(draw.normal(-4, 2, len(chosen)).tolist()),
            )
        )
    return found


def _masked(draw: np.random.Generator, tree: int, ids: list[int], begin: int) -> ScoredIds:
    """Some of the tokens from `begin` on count, the last one at least."""
    weight = draw.integers(0, 2, len(ids)).astype(float)
    weight[: max(1, min(begin, len(ids) - 1))] = 0
    weight[-1] = 1
    return ScoredIds.of(ids, weight.tolist(), tree)
