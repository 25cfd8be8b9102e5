"""Losses as functions of sequences' scores.

A score is a sum of log-probabilities (`ScoredIds`), so a loss here is an expression in the scores
of a step and knows no tree: trees only make the scores cheap.

A step's loss is a mean over all its rows (or tokens), in however many micro-batches and processes
they come. `count` says what a micro-batch adds to the denominators; `loss`, given the step's
totals, is the micro-batch's share. The shares add up to the step's loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn.functional import logsigmoid

from w2stree.training.trees.examples import ExampleTensors


class Objective(Protocol):
    """What training minimises."""

    @property
    def is_linear(self) -> bool:
        """Whether the loss is linear in the scores: its gradient is then known before them."""
        ...

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        """`[num_denominators]`"""
        ...

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        """The share of these examples; `scores` `[num_sequences]`, `totals` as `count`'s sum."""
        ...


@dataclass(frozen=True, slots=True)
class Sft:
    """Mean negative log-likelihood of the tokens that count (L_SFT)."""

    is_linear = True

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        return (examples.weight[examples.example] * examples.num_scored).sum()[None]

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        return -(examples.weight[examples.example] * scores).sum() / totals[0]


@dataclass(frozen=True, slots=True)
class Dpo:
    """`-log sigmoid(beta * margin)` (Eq. 6), and `sft_weight` times the chosen sides' SFT loss.

    `margin` is the log-ratio of the chosen sequence minus the rejected one's; sequences of an
    example are these two, in this order.
    """

    beta: float
    sft_weight: float = 0.0
    is_linear = False

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        chosen = examples.num_scored[::2]
        return torch.stack([examples.weight.sum(), (examples.weight * chosen).sum()])

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        ratio = scores - examples.reference
        margin = self.beta * (ratio[::2] - ratio[1::2])
        preferred = -(examples.weight * logsigmoid(margin)).sum() / totals[0]
        imitated = -(examples.weight * scores[::2]).sum() / totals[1]
        return preferred + self.sft_weight * imitated
