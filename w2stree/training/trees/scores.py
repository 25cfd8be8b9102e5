"""A model's scores of the sequences in a pack: one forward pass over the distinct tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from w2stree.training.trees.pack import Pack


@dataclass(frozen=True, slots=True, eq=False)
class PackTensors:
    """A pack on a device: what a forward pass and the sums read."""

    token: torch.Tensor
    position: torch.Tensor
    end: torch.Tensor
    scored: torch.Tensor
    """`[num_scored]` the nodes with an entry, ascending."""
    origin: torch.Tensor
    """`[num_scored]` which of `origins` each of them is predicted from."""
    origins: torch.Tensor
    """`[num_origins]` their distinct parents."""
    entry_score: torch.Tensor
    entry: torch.Tensor
    """`[num_entries]` which of `scored` each entry weighs."""
    weight: torch.Tensor
    score: torch.Tensor
    """`[num_sequences]` which of the distinct scores is each sequence's."""
    num_scores: int

    @classmethod
    def of(cls, pack: Pack, device: Any = "cpu") -> PackTensors:
        token, parent, node = (torch.from_numpy(a) for a in (pack.token, pack.parent, pack.node))
        scored, entry = torch.unique(node, return_inverse=True)
        origins, origin = torch.unique(parent[scored], return_inverse=True)
        tensors = {
            "token": token,
            "position": torch.from_numpy(pack.position),
            "end": torch.from_numpy(pack.end),
            "scored": scored,
            "origin": origin,
            "origins": origins,
            "entry_score": torch.from_numpy(pack.entry_score),
            "entry": entry,
            "weight": torch.from_numpy(pack.weight),
            "score": torch.from_numpy(pack.score),
        }
        return cls(
            **{name: t.to(device) for name, t in tensors.items()},
            num_scores=pack.num_scores,
        )


def ancestor_mask(pack: PackTensors) -> torch.Tensor:
    """`[1, 1, num_nodes, num_nodes]` bool: whether query q sees key k, its ancestor or itself."""
    i = torch.arange(len(pack.token), device=pack.token.device)
    return ((i[None] <= i[:, None]) & (i[:, None] < pack.end[None]))[None, None]


def node_logprobs(model: Any, pack: PackTensors) -> torch.Tensor:
    """`[num_scored]` log p(token | its ancestors) of each scored node."""
    logits = model(
        input_ids=pack.token[None],
        position_ids=pack.position[None],
        attention_mask=ancestor_mask(pack),
        logits_to_keep=pack.origins,
        use_cache=False,
    ).logits[0]
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    found: torch.Tensor = wide.log_softmax(-1)[pack.origin, pack.token[pack.scored]]
    return found


def scores(model: Any, pack: PackTensors) -> torch.Tensor:
    """`[num_sequences]` each sequence's score (`ScoredIds`); differentiable."""
    logprobs = node_logprobs(model, pack)
    distinct = logprobs.new_zeros(pack.num_scores).index_add(
        0, pack.entry_score, pack.weight.to(logprobs.dtype) * logprobs[pack.entry]
    )
    return distinct[pack.score]
