"""How likely a model finds the two sides of preference rows, each sequence by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from w2stree.training.memory import told_of_memory
from w2stree.training.models import best_device
from w2stree.training.precision import Precision, training_precision
from w2stree.training.trees.head import Wanted, through_the_head
from w2stree.training.unshared.collator import PreferenceCollator


def sequence_logprobs(
    model: Any, rows: Sequence[dict[str, list[int]]], *, batch_size: int, lora: bool = False
) -> list[tuple[float, float]]:
    """(chosen, rejected) log-probability of each row's agent tokens given what precedes them.

    Rows are `tokenize_preferences` rows made with this model's own tokenizer. The model is computed
    with as if it were trained, with adapters (`lora`) or whole: its weights move to the GPU, if
    there is one, and are cast to that precision, since a reference is compared with a policy in
    training. Beyond the model, memory grows with the rows' tokens but not with tokens times
    vocabulary.

    Raises `InvalidInput` where the memory does not hold a batch, or the model has a head that is
    not known (`trees/head.py`).
    """
    precision = training_precision(model, lora=lora)
    model = model.to(best_device(), precision.weights)
    return score(model, rows, precision, batch_size=batch_size)


@torch.no_grad()
def score(
    model: Any, rows: Sequence[dict[str, list[int]]], precision: Precision, *, batch_size: int
) -> list[tuple[float, float]]:
    """`sequence_logprobs` of a model whose weights are as they should be: no one is cast."""
    model.eval()
    collate = PreferenceCollator(pad_token_id=0)
    logprobs: list[tuple[float, float]] = []
    with precision.autocast():
        for start in range(0, len(rows), batch_size):
            batch = collate(rows[start : start + batch_size])
            with told_of_memory(batch_size, longest=batch["input_ids"].shape[1]):
                chosen, rejected = batch_logprobs(model, batch).chunk(2)
            logprobs += zip(chosen.tolist(), rejected.tolist(), strict=True)
    return logprobs


def batch_logprobs(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """`[num_sequences]` of a padded batch: the sums of log p over the tokens of
    `completion_mask`; differentiable."""
    ids = batch["input_ids"].to(model.device)
    row, column = batch["completion_mask"][:, 1:].to(model.device).nonzero(as_tuple=True)
    wanted = Wanted(
        origins=row * ids.shape[1] + column,
        origin=torch.arange(len(row), device=model.device),
        token=ids[row, column + 1],
        first=list(range(len(row) + 1)),
    )
    found = through_the_head(
        model, wanted, input_ids=ids, attention_mask=batch["attention_mask"].to(model.device)
    ).logprob
    assert found is not None
    return found.new_zeros(len(ids)).index_add(0, row, found)
