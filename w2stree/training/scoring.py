"""How likely a model finds the two sides of preference rows: the reference's part of DPO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl.trainer.dpo_trainer import DataCollatorForPreference

from w2stree.training.labelled import fused_head
from w2stree.training.memory import told_of_memory
from w2stree.training.models import best_device
from w2stree.training.precision import Precision, training_precision
from w2stree.training.rows import IGNORED


class MaskedPreferenceCollator(DataCollatorForPreference):  # type: ignore[misc]
    """TRL's collator scores every token after the prompt; here only agent tokens count.

    prompt │ agent turn │ observation │ agent turn
    0 0 0    1 1 1 1      0 0 0 0 0     1 1 1
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super().torch_call(examples)
        mask = torch.zeros_like(batch["completion_mask"])
        sides = [(e, side) for side in ("chosen_mask", "rejected_mask") for e in examples]
        for i, (example, side) in enumerate(sides):
            start = len(example["prompt_ids"])
            mask[i, start : start + len(example[side])] = torch.tensor(example[side])
        batch["completion_mask"] = mask
        return batch


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
    not known (`labelled.check_head`).
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
    collate = MaskedPreferenceCollator(pad_token_id=0)
    logprobs: list[tuple[float, float]] = []
    with precision.autocast(), fused_head(model):
        for start in range(0, len(rows), batch_size):
            batch = collate(list(rows[start : start + batch_size]))
            with told_of_memory(batch_size, longest=batch["input_ids"].shape[1]):
                chosen, rejected = _batch_logprobs(model, batch).chunk(2)
            logprobs += zip(chosen.tolist(), rejected.tolist(), strict=True)
    return logprobs


def _batch_logprobs(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    ids = batch["input_ids"].to(model.device)
    labels = ids.masked_fill(batch["completion_mask"].to(model.device) == 0, IGNORED)
    mask = batch["attention_mask"].to(model.device)
    output = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
    total: torch.Tensor = output.log_probs.sum(dim=1)
    return total
