"""What one term of a loss is about: sequences, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from w2stree.errors import InvalidInput
from w2stree.training.trees.sequences import ScoredIds


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One row of training.

    kind          sequences                   target
    SFT           one                         -
    preference    the chosen, the rejected    how sure: (1, 0), or (0.9, 0.1)
    group         all at one divergence       their distribution, summing to 1

    `reference`: the reference's score of each sequence, `()` without one. `weight`: how often the
    row is there (a duplicate is a weight). All sequences are of one tree.
    """

    sequences: tuple[ScoredIds, ...]
    target: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.sequences or len({s.tree for s in self.sequences}) > 1:
            raise InvalidInput("an example needs sequences, all of one tree")
        for name in ("target", "reference"):
            if getattr(self, name) and len(getattr(self, name)) != len(self.sequences):
                raise InvalidInput(f"{name} has not one number for each sequence")

    @property
    def tree(self) -> int:
        return self.sequences[0].tree


@dataclass(frozen=True, slots=True, eq=False)
class ExampleTensors:
    """A micro-batch's examples as columns, on a device; sequences in the order of the pack."""

    example: torch.Tensor
    """`[num_sequences]` ascending: whose each sequence is."""
    target: torch.Tensor
    """`[num_sequences]` 0 where there is none."""
    reference: torch.Tensor
    """`[num_sequences]` 0 without a reference."""
    num_scored: torch.Tensor
    """`[num_sequences]` how many tokens have a weight."""
    weight: torch.Tensor
    """`[num_examples]`"""

    @classmethod
    def of(cls, examples: Sequence[Example], device: Any = "cpu") -> ExampleTensors:
        sizes = torch.tensor([len(e.sequences) for e in examples])
        columns = [
            torch.repeat_interleave(torch.arange(len(examples)), sizes),
            torch.tensor([x for e in examples for x in e.target or (0.0,) * len(e.sequences)]),
            torch.tensor([x for e in examples for x in e.reference or (0.0,) * len(e.sequences)]),
            torch.tensor([float((s.weight != 0).sum()) for e in examples for s in e.sequences]),
            torch.tensor([e.weight for e in examples]),
        ]
        return cls(*(c.to(device) for c in columns))
