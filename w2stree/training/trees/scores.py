"""A model's scores of the sequences in a pack: one forward pass over the distinct tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from w2stree.training.trees.attention.forward import forward_arguments
from w2stree.training.trees.head import MAX_LOGITS, Found, Wanted, through_the_head
from w2stree.training.trees.pack import Pack
from w2stree.training.trees.tries import Ints


@dataclass(frozen=True, slots=True, eq=False)
class PackTensors:
    """A pack on a device: what a forward pass and the sums read."""

    token: torch.Tensor
    position: torch.Tensor
    end: torch.Tensor
    wanted: Wanted
    """The distinct nodes with an entry, by the parent that predicts them."""
    entry_score: torch.Tensor
    entry: torch.Tensor
    """`[num_entries]` which of the `wanted` tokens each entry weighs."""
    weight: torch.Tensor
    score: torch.Tensor
    """`[num_sequences]` which of the distinct scores is each sequence's."""
    num_scores: int

    @classmethod
    def of(cls, pack: Pack, device: Any = "cpu") -> PackTensors:
        scored, entry = _distinct(pack.node, pack.num_nodes)
        origins, origin = _distinct(pack.parent[scored], pack.num_nodes)
        order = np.argsort(origin, kind="stable")  # a later child comes after all of an earlier one
        place = np.empty_like(order)
        place[order] = np.arange(len(order))

        def there(array: np.ndarray[Any, Any]) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        return cls(
            token=there(pack.token),
            position=there(pack.position),
            end=there(pack.end),
            wanted=Wanted(
                origins=there(origins),
                origin=there(origin[order]),
                token=there(pack.token[scored[order]]),
                first=[0, *np.cumsum(np.bincount(origin)).tolist()],
            ),
            entry_score=there(pack.entry_score),
            entry=there(place[entry]),
            weight=there(pack.weight),
            score=there(pack.score),
            num_scores=pack.num_scores,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a model says of each sequence, `[num_sequences]` each.

    Sums are float64 where the device has it: a score is a sum of hundreds of numbers, and losses
    are of differences of scores.
    """

    score: torch.Tensor
    """`ScoredIds`; differentiable."""
    num_top1: torch.Tensor
    """How many of its scored tokens no other token is likelier than."""
    entropy: torch.Tensor
    """Sum over its scored tokens, in nats."""


def of_nodes(
    model: Any, pack: PackTensors, *, attention: str = "auto", max_logits: int = MAX_LOGITS
) -> Found:
    """log p(token | its ancestors) of each of `pack.wanted`, and what else the head says there.

    `attention`: a backend of `forward_arguments`.
    """
    return through_the_head(
        model,
        pack.wanted,
        max_logits=max_logits,
        input_ids=pack.token[None],
        position_ids=pack.position[None],
        **forward_arguments(model, pack, attention),
    )


def scored(
    model: Any, pack: PackTensors, *, attention: str = "auto", max_logits: int = MAX_LOGITS
) -> Scored:
    """One forward pass; differentiable in `score`."""
    found = of_nodes(model, pack, attention=attention, max_logits=max_logits)
    assert found.logprob is not None and found.is_top1 is not None and found.entropy is not None
    wide = widest(pack.token.device)
    zeros = torch.zeros(pack.num_scores, dtype=wide, device=pack.token.device)

    def sums(of_entries: torch.Tensor) -> torch.Tensor:
        return zeros.index_add(0, pack.entry_score, of_entries)[pack.score]

    return Scored(
        score=sums(pack.weight.to(wide) * found.logprob.to(wide)[pack.entry]),
        num_top1=sums(found.is_top1.to(wide)[pack.entry]),
        entropy=sums(found.entropy.to(wide)[pack.entry]),
    )


def scores(model: Any, pack: PackTensors, attention: str = "auto") -> torch.Tensor:
    """`[num_sequences]` each sequence's score (`ScoredIds`); differentiable."""
    return scored(model, pack, attention=attention).score


def _distinct(nodes: Ints, num_nodes: int) -> tuple[Ints, Ints]:
    """`np.unique(nodes, return_inverse=True)` in O(num_nodes), without sorting."""
    is_there = np.zeros(num_nodes, np.bool_)
    is_there[nodes] = True
    return np.flatnonzero(is_there), (np.cumsum(is_there) - 1)[nodes]


def widest(device: torch.device) -> torch.dtype:
    """What sums are made in: Apple's GPUs have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64
