"""What a trained model implicitly rewards: log pi - log pi_ref of each side of preference rows.

Theorem 1 of the paper assumes a policy that ranks every pair rightly. How often a model does is the
share of rows whose margin, chosen over rejected, is above 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2stree.rows.rows import PreferenceRow
from w2stree.rows.tokenized import tokenize_preferences
from w2stree.training.fitting import ModelSource
from w2stree.training.trees.probe import is_refused_by_trees
from w2stree.training.trees.reference import reference_scores
from w2stree.training.trees.rows import numbered, preference_examples
from w2stree.training.trees.trainer import MAX_PACK_TOKENS
from w2stree.training.unshared.scoring import sequence_sums
from w2stree.turns.chat import ChatFormat

Floats = NDArray[np.float64]

_TIE = 1e-3  # nats: rounding


def side_logprobs(
    model: ModelSource,
    rows: Sequence[PreferenceRow],
    *,
    max_length: int,
    cache: Path | None = None,
) -> Floats:
    """`[num_rows, 2]` log-probability of the chosen and of the rejected side's agent turns, in the
    model's own tokens; NaN for both of a row of which a side exceeds `max_length` of them.

    `cache`: see `reference_scores`. One forward pass of what the rows do not share.
    """
    opened, tokenizer = model()
    found = np.full((len(rows), 2), np.nan)
    tokens = tokenize_preferences(rows, ChatFormat(tokenizer), max_length=max_length)
    kept = [i for i, row in enumerate(tokens) if row is not None]
    if not kept:
        return found
    trees = numbered([rows[i].chosen.prompt for i in kept])
    examples = preference_examples([row for row in tokens if row is not None], trees)
    sequences = [s for e in examples for s in e.sequences]
    if is_refused_by_trees(opened, max(len(s.ids) for s in sequences)):
        sums = sequence_sums(opened, sequences, sequences_a_row=2)
    else:
        sums = reference_scores(
            opened,
            sequences,
            max_pack_tokens=MAX_PACK_TOKENS,
            cache=cache,
            sequences_a_row=2,
        )
    found[kept] = sums.reshape(-1, 2)
    return found


def is_right(policy: Floats, reference: Floats) -> Floats:
    """`[num_rows]` 1 where the policy moved more from the reference on the chosen side than on the
    rejected one, 0.5 for a tie but for rounding, else 0; NaN where either is. Of `side_logprobs`.
    """
    ratio = policy - reference
    margin = ratio[:, 0] - ratio[:, 1]
    right = np.where(np.abs(margin) <= _TIE, 0.5, (margin > 0).astype(np.float64))
    return np.where(np.isnan(margin), np.nan, right)
