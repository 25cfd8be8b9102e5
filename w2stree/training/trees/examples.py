"""What one term of a loss is about: sequences, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from w2stree.errors import InvalidInput
from w2stree.training.trees.scores import widest
from w2stree.training.trees.sequences import ScoredIds


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One row of training.

    kind          sequences                   target
    SFT           one                         -
    advantages    one, weighed by them        -
    preference    the chosen, the rejected    how sure: (1, 0), or (0.9, 0.1); absent: (1, 0)
    group         all at one divergence       their distribution, summing to 1

    `reference`: the reference's score of each sequence, `()` without one. `weight`: how often the
    row is there (a duplicate is a weight). All sequences are of one tree.

    Raises `InvalidInput` for another number of targets or references than of sequences, for one
    that is no finite number, and for a weight below 0. What a loss needs beyond that, its
    objective checks (`Objective.check`).
    """

    sequences: tuple[ScoredIds, ...]
    target: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.sequences or len({s.tree for s in self.sequences}) > 1:
            raise InvalidInput("an example needs sequences, all of one tree")
        for name in ("target", "reference"):
            numbers = getattr(self, name)
            if numbers and len(numbers) != len(self.sequences):
                raise InvalidInput(f"{name} has not one number for each sequence")
            if not all(map(math.isfinite, numbers)):
                raise InvalidInput(f"{name} is {numbers}; give finite numbers")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise InvalidInput(f"weight is {self.weight}; give a finite number, 0 at least")

    @property
    def tree(self) -> int:
        return self.sequences[0].tree


@dataclass(frozen=True, slots=True, eq=False)
class ExampleTensors:
    """A micro-batch's examples as columns, on a device; sequences in the order of the examples.

    Numbers are float64 where the device has it, as scores are.
    """

    example: torch.Tensor
    """`[num_sequences]` ascending: whose each sequence is."""
    target: torch.Tensor
    """`[num_sequences]` 0 where there is none, but (1, 0) of two sequences."""
    reference: torch.Tensor
    """`[num_sequences]` 0 without a reference."""
    num_scored: torch.Tensor
    """`[num_sequences]` how many tokens have a weight."""
    weight: torch.Tensor
    """`[num_examples]`"""

    @classmethod
    def of(cls, examples: Sequence[Example], device: Any = "cpu") -> ExampleTensors:
        sizes = torch.tensor([len(e.sequences) for e in examples], dtype=torch.long)
        columns = (
            [x for e in examples for x in e.target or _absent(len(e.sequences))],
            [x for e in examples for x in e.reference or (0.0,) * len(e.sequences)],
            [float((s.weight != 0).sum()) for e in examples for s in e.sequences],
            [e.weight for e in examples],
        )
        wide = widest(torch.device(device))
        return cls(
            torch.repeat_interleave(torch.arange(len(examples)), sizes).to(device),
            *(torch.tensor(c, dtype=wide).to(device) for c in columns),
        )

    @property
    def sequence_weight(self) -> torch.Tensor:
        """`[num_sequences]` the weight of the example that each is of."""
        return self.weight[self.example]


def _absent(num_sequences: int) -> tuple[float, ...]:
    return (1.0, 0.0) if num_sequences == 2 else (0.0,) * num_sequences
