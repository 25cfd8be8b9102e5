"""Tokenised rows (`w2stree.rows.tokenized`) as examples: what may share, and what counts.

SFT           input_ids   u u u a a o o a       one sequence, weight 1 where a token is labelled
              labels      - - - a a - - a
preference    prompt_ids + chosen_ids           two sequences, weight 1 where the mask says so;
              prompt_ids + rejected_ids         the row's confidence and weight, if it has them

Rows that begin with the same prompt are of one tree: what can share does, whatever their tasks'
names. A labelled first token counts nothing, since nothing comes before it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.rows.tokenized import IGNORED
from w2stree.training.trees.examples import Example
from w2stree.training.trees.sequences import ScoredIds


def numbered(prompts: Sequence[Hashable]) -> list[int]:
    """The trees of rows with these prompts: equal ones by equal numbers, by first appearance."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(prompt, len(numbers)) for prompt in prompts]


def sft_examples(rows: Sequence[dict[str, list[int]]], trees: Sequence[int]) -> list[Example]:
    """Of `tokenize_sft` rows; `trees[i]` says with which rows row i may share."""
    found = []
    for row, tree in zip(rows, trees, strict=True):
        counts = np.array(row["labels"]) != IGNORED
        found.append(Example((_scored(np.array(row["input_ids"]), counts, tree),)))
    return found


def preference_examples(rows: Sequence[dict[str, Any]], trees: Sequence[int]) -> list[Example]:
    """Of `tokenize_preferences` rows, with the reference's scores where they have them."""
    found = []
    for row, tree in zip(rows, trees, strict=True):
        sides = []
        for side in ("chosen", "rejected"):
            counts = np.array([0] * len(row["prompt_ids"]) + row[f"{side}_mask"]) != 0
            sides.append(_scored(np.array(row["prompt_ids"] + row[f"{side}_ids"]), counts, tree))
        reference: tuple[float, ...] = ()
        if "ref_chosen_logps" in row:
            reference = (row["ref_chosen_logps"], row["ref_rejected_logps"])
        sure = row.get("confidence")
        target = () if sure is None else (sure, 1 - sure)
        weight = row.get("weight", 1.0)
        found.append(Example((sides[0], sides[1]), target, reference, weight))
    return found


def _scored(ids: NDArray[np.int64], counts: NDArray[np.bool_], tree: int) -> ScoredIds:
    weight = counts.astype(np.float32)
    weight[:1] = 0
    return ScoredIds(ids.astype(np.int32), weight, tree)
