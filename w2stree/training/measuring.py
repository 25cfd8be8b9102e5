"""A model on examples that it was not trained on: the same figures before and after.

pairs           how often the chosen side's log-ratio to the reference is the greater one;
                the chosen side's log-probability, which training may lower (displacement)
conversations   mean negative log-likelihood of a scored token
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from w2stree.training.stage import check_first_loss
from w2stree.training.trees.examples import Example
from w2stree.training.trees.reference import Floats, reference_scores
from w2stree.training.trees.sequences import ScoredIds
from w2stree.training.trees.trainer import MAX_PACK_TOKENS
from w2stree.training.unshared.scoring import sequence_sums

_TIE = 1e-3  # nats: rounding


def sums(
    model: Any,
    sequences: Sequence[ScoredIds],
    *,
    lora: bool,
    unshared: bool,
    cache: Path | None = None,
) -> Floats:
    """`[num_sequences]` each sequence's score under the model, computed with as in training: with
    adapters (`lora`) or whole, on trees or `unshared`. On trees a folder `cache` keeps them
    (`reference_scores`)."""
    if not unshared:
        return reference_scores(
            model, sequences, max_pack_tokens=MAX_PACK_TOKENS, lora=lora, cache=cache
        )
    return sequence_sums(model, sequences, lora=lora)


def pair_figures(
    model: Any, examples: Sequence[Example], *, lora: bool, unshared: bool
) -> dict[str, float]:
    """`pair_accuracy`: the share of pairs whose chosen side gained more on the reference than the
    rejected one, or is likelier where there is none; ties count half. `chosen_logprob`: the mean
    over pairs of the chosen side's log-probability, in nats."""
    sequences = [s for e in examples for s in e.sequences]
    both = sums(model, sequences, lora=lora, unshared=unshared).reshape(-1, 2)
    reference = np.array([e.reference or (0.0, 0.0) for e in examples])
    margin = (both - reference) @ np.array([1.0, -1.0])
    tie = np.abs(margin) <= _TIE
    return {
        "pair_accuracy": float(np.where(tie, 0.5, margin > 0).mean()),
        "chosen_logprob": float(both[:, 0].mean()),
    }


def check_start(model: Any, examples: Sequence[Example], beta: float, *, unshared: bool) -> None:
    """Raises as `check_first_loss` for examples whose reference the model itself is."""
    sequences = [s for e in examples for s in e.sequences]
    both = sums(model, sequences, lora=False, unshared=unshared).reshape(-1, 2)
    ratio = both - np.array([e.reference for e in examples])
    loss = float(np.logaddexp(0.0, -beta * (ratio[:, 0] - ratio[:, 1])).mean())
    check_first_loss(loss, "in training it computes otherwise than it plays")


def sft_figures(
    model: Any, examples: Sequence[Example], *, lora: bool, unshared: bool
) -> dict[str, float]:
    """`loss`: mean negative log-likelihood of the scored tokens, in nats."""
    sequences = [s for e in examples for s in e.sequences]
    num_scored = sum(float(s.weight.sum()) for s in sequences)
    found = sums(model, sequences, lora=lora, unshared=unshared)
    return {"loss": float(-found.sum() / num_scored)}
