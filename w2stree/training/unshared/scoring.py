"""How likely a model finds the two sides of preference rows, each sequence by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from w2stree.training.memory import told_of_memory
from w2stree.training.models import best_device
from w2stree.training.precision import Precision, training_precision
from w2stree.training.trees.head import Wanted, through_the_head
from w2stree.training.trees.rows import preference_examples
from w2stree.training.trees.sequences import ScoredIds


def sequence_logprobs(
    model: Any, rows: Sequence[dict[str, Any]], *, batch_size: int, lora: bool = False
) -> list[tuple[float, float]]:
    """(chosen, rejected) log-probability of each row's agent tokens given what precedes them.

    Rows are `tokenize_preferences` rows made with this model's own tokenizer, `batch_size` of them
    at a time. See `sequence_sums`.
    """
    sums = sequence_sums(model, _sides(rows), lora=lora, batch_size=batch_size, sequences_a_row=2)
    return [(chosen, rejected) for chosen, rejected in sums.reshape(-1, 2).tolist()]


def score(
    model: Any, rows: Sequence[dict[str, Any]], precision: Precision, *, batch_size: int
) -> list[tuple[float, float]]:
    """`sequence_logprobs` of a model whose weights are as they should be: no one is cast."""
    sums = _sums(model, _sides(rows), precision, batch_size, sequences_a_row=2)
    return [(chosen, rejected) for chosen, rejected in sums.reshape(-1, 2).tolist()]


def sequence_sums(
    model: Any,
    sequences: Sequence[ScoredIds],
    *,
    lora: bool = False,
    batch_size: int = 8,
    sequences_a_row: int = 1,
) -> NDArray[np.float64]:
    """`[num_sequences]` the sums of log p over the tokens that have a weight, as many at a time as
    `batch_size` rows have.

    The model is computed with as if it were trained, with adapters (`lora`) or whole: its weights
    move to the GPU, if there is one, and are cast to that precision, since a reference is compared
    with a policy in training. Beyond the model, memory grows with a batch's tokens but not with
    tokens times vocabulary.

    Raises `InvalidInput` where the memory does not hold a batch, or the model has a head that is
    not known (`trees/head.py`).
    """
    precision = training_precision(model, lora=lora)
    model = model.to(best_device(), precision.weights)
    return _sums(model, sequences, precision, batch_size, sequences_a_row)


@torch.no_grad()
def _sums(
    model: Any,
    sequences: Sequence[ScoredIds],
    precision: Precision,
    batch_size: int,
    sequences_a_row: int,
) -> NDArray[np.float64]:
    """Sequences of like lengths together, so that little of a batch is padding."""
    model.eval()
    found = np.zeros(len(sequences))
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    with precision.autocast():
        at_a_time = batch_size * sequences_a_row
        for start in range(0, len(order), at_a_time):
            which = order[start : start + at_a_time]
            batch = _padded([sequences[i] for i in which])
            with told_of_memory(batch_size, longest=batch["input_ids"].shape[1]):
                found[which] = batch_logprobs(model, batch).double().cpu().numpy()
    return found


def _sides(rows: Sequence[dict[str, Any]]) -> list[ScoredIds]:
    examples = preference_examples(rows, [0] * len(rows))
    return [sequence for example in examples for sequence in example.sequences]


def _padded(sequences: Sequence[ScoredIds]) -> dict[str, torch.Tensor]:
    ids = pad_sequence([torch.from_numpy(s.ids).long() for s in sequences], batch_first=True)
    mask = pad_sequence([torch.from_numpy(s.weight != 0) for s in sequences], batch_first=True)
    lengths = torch.tensor([[len(s.ids)] for s in sequences])
    return {
        "input_ids": ids,
        "completion_mask": mask.long(),
        "attention_mask": (torch.arange(ids.shape[1]) < lengths).long(),
    }


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
