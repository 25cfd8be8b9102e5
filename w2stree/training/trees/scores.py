"""A model's scores of the sequences in a pack: one forward pass over the distinct tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from w2stree.training.trees.attention.forward import forward_arguments
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
    sequence: torch.Tensor
    entry: torch.Tensor
    """`[num_entries]` which of `scored` each entry weighs."""
    weight: torch.Tensor
    num_sequences: int

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
            "sequence": torch.from_numpy(pack.sequence),
            "entry": entry,
            "weight": torch.from_numpy(pack.weight),
        }
        return cls(
            **{name: t.to(device) for name, t in tensors.items()},
            num_sequences=pack.num_sequences,
        )


def node_logprobs(model: Any, pack: PackTensors, attention: str = "auto") -> torch.Tensor:
    """`[num_scored]` log p(token | its ancestors) of each scored node.

    `attention`: a backend of `forward_arguments`.
    """
    logits = model(
        input_ids=pack.token[None],
        position_ids=pack.position[None],
        logits_to_keep=pack.origins,
        use_cache=False,
        **forward_arguments(model, pack, attention),
    ).logits[0]
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    found: torch.Tensor = wide.log_softmax(-1)[pack.origin, pack.token[pack.scored]]
    return found


def scores(model: Any, pack: PackTensors, attention: str = "auto") -> torch.Tensor:
    """`[num_sequences]` each sequence's score (`ScoredIds`); differentiable."""
    logprobs = node_logprobs(model, pack, attention)
    return logprobs.new_zeros(pack.num_sequences).index_add(
        0, pack.sequence, pack.weight.to(logprobs.dtype) * logprobs[pack.entry]
    )
