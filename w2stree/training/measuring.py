"""A model on examples that it was not trained on: the same figures before and after.

pairs           how often the chosen side's log-ratio to the reference is the greater one;
                the chosen side's log-probability, which training may lower (displacement)
conversations   mean negative log-likelihood of a scored token
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from w2stree.training.precision import training_precision
from w2stree.training.trees.attention.forward import tree_attention
from w2stree.training.trees.cut import parts
from w2stree.training.trees.examples import Example
from w2stree.training.trees.passes import Part
from w2stree.training.trees.scores import scores
from w2stree.training.trees.sequences import ScoredIds

_MAX_TOKENS = 4096


@torch.no_grad()
def sums(model: Any, sequences: Sequence[ScoredIds]) -> NDArray[np.float64]:
    """`[num_sequences]` each sequence's score under the model, which plays: no dropout."""
    was_training = model.training
    model.eval()
    found = np.zeros(len(sequences))
    try:
        with tree_attention(model), training_precision(model, lora=True).autocast():
            for which in parts(sequences, _MAX_TOKENS):
                part = Part.of(sequences, which, model.device)
                found[which] = scores(model, part.pack).cpu().numpy()
    finally:
        model.train(was_training)
    return found


def pair_figures(model: Any, examples: Sequence[Example]) -> dict[str, float]:
    """`pair_accuracy`: the share of pairs whose chosen side gained more on the reference than the
    rejected one, or is likelier where there is none; ties count half. `chosen_logprob`: the mean
    over pairs of the chosen side's log-probability, in nats."""
    both = sums(model, [s for e in examples for s in e.sequences]).reshape(-1, 2)
    reference = np.array([e.reference or (0.0, 0.0) for e in examples])
    margin = (both - reference) @ np.array([1.0, -1.0])
    tie = np.abs(margin) <= 1e-3
    return {
        "pair_accuracy": float(np.where(tie, 0.5, margin > 0).mean()),
        "chosen_logprob": float(both[:, 0].mean()),
    }


def sft_figures(model: Any, examples: Sequence[Example]) -> dict[str, float]:
    """`loss`: mean negative log-likelihood of the scored tokens, in nats."""
    sequences = [s for e in examples for s in e.sequences]
    num_scored = sum(float(s.weight.sum()) for s in sequences)
    return {"loss": float(-sums(model, sequences).sum() / num_scored)}
