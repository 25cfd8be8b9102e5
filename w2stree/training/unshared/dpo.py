"""DPO with TRL on agent turns only.

Rows are token ids, masks and the reference's log-probabilities. TRL has a place for each: its
batches hold all three, and its trainer takes a collator that makes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import datasets
import torch
from trl import DPOConfig, DPOTrainer

from w2stree.errors import InvalidInput
from w2stree.training.launcher import refuse_several_processes
from w2stree.training.layers import adapters
from w2stree.training.memory import told_of_memory
from w2stree.training.optimisation import Optimisation
from w2stree.training.positions import refuse_beyond_positions
from w2stree.training.precision import Precision, refuse_other_precision, training_precision
from w2stree.training.stage import (
    Log,
    NoStepTooMany,
    Progress,
    TrainedWeights,
    WarmUp,
    arguments,
    check_first_loss,
    compared,
    on_one_device,
    quiet,
    train,
)
from w2stree.training.trackers import SILENT, Reporting
from w2stree.training.unshared.agreement import check_dpo, told_of_trl
from w2stree.training.unshared.collator import PreferenceCollator
from w2stree.training.unshared.scoring import score


def train_dpo(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, Any]],
    optimisation: Optimisation,
    *,
    beta: float,
    sft_weight: float,
    reference_is_start: bool,
    output_dir: str,
    seed: int,
    progress: Progress | None = None,
    reporting: Reporting = SILENT,
) -> TrainedWeights:
    """Minimise -E log sigmoid(beta[log-ratio(s+|h) - log-ratio(s-|h)]) (Eq. 6).

    Rows carry ids, masks and the reference's log-probabilities (`ref_chosen_logps`,
    `ref_rejected_logps`; see `sequence_logprobs`), so that the reference may have another
    tokenizer and need not be in memory. `sft_weight` adds that much negative log-likelihood
    of the chosen side, which keeps it from losing mass. Dropout is off, as the reference's is.

    Raises as `train_sft`, for a side without a scored token too; also if with
    `reference_is_start` the loss before the first step is not ln 2: policy and reference would then
    differ although they must not.
    """
    refuse_several_processes()
    if not rows:
        raise InvalidInput(
            "no preference rows to train on: lower min_gap, raise max_length, or explore more"
        )
    for i, row in enumerate(rows):
        for side in ("chosen", "rejected"):
            if not any(row[f"{side}_mask"]):
                raise InvalidInput(f"rows[{i}] scores no {side} token; its agent turns are empty")
    refuse_weighed(rows)
    if optimisation.lora and optimisation.lora.dropout:
        raise InvalidInput("lora.dropout: DPO compares with a reference without dropout; set it 0")
    lengths = [length for row in rows for length in _lengths(row)]
    refuse_beyond_positions(model.config, lengths, sequences_a_row=2)
    precision = training_precision(model, lora=optimisation.lora is not None)
    config = DPOConfig(
        max_length=None,
        beta=beta,
        loss_type=["sigmoid", "sft"] if sft_weight else ["sigmoid"],
        loss_weights=[1.0, sft_weight] if sft_weight else [1.0],
        precompute_ref_log_probs=True,
        remove_unused_columns=False,
        **arguments(optimisation, precision, output_dir, seed, reporting=reporting),
    )
    with quiet(), told_of_trl():
        trainer = StepDPOTrainer(
            rows,
            model=model.to(precision.weights),
            args=on_one_device(config),
            processing_class=tokenizer,
            data_collator=PreferenceCollator(pad_token_id=tokenizer.pad_token_id),
            peft_config=adapters(model, optimisation.lora),
            callbacks=[Log(progress)],
        )
    with told_of_memory(optimisation.rows_at_a_time, longest=max(lengths)):
        if reference_is_start:
            check_first_loss(_loss_of(trainer, rows[: optimisation.rows_at_a_time], precision))
        check_dpo(trainer, rows[0], precision)
        return train(trainer, lengths, optimisation, reporting=reporting)


def refuse_weighed(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises `InvalidInput` for a row that is not wholly sure, or counts more or less than others:
    TRL's loss knows one `label_smoothing` for all rows, and no weights."""
    for i, row in enumerate(rows):
        for name in ("confidence", "weight"):
            if name in row:
                raise InvalidInput(
                    f"rows[{i}] has the {name} {row[name]:g}, which TRL's DPO cannot take row by "
                    "row: train on trees (leave unshared out, and take a model that trees can "
                    "train), or leave the confidence and weight of rows at 1"
                )


class StepDPOTrainer(NoStepTooMany, WarmUp, DPOTrainer):  # type: ignore[misc]
    """DPO on rows that are already tokens, masks and reference log-probabilities.

    TRL tokenises the dataset that it is made with, and computes its reference. So it is made with a
    row of three words, and then given the rows: they reach the collator as they are.

    A step's loss is the whole batch's in however many micro-batches it comes.
    """

    loss_is_scaled_for_ga = True
    loss_types: list[str]
    loss_weights: list[float]

    def __init__(self, rows: Sequence[dict[str, Any]], **options: Any) -> None:
        stand_in = datasets.Dataset.from_list([_three_words(options["processing_class"])])
        super().__init__(train_dataset=stand_in, **options)
        refuse_other_precision(self.accelerator, self.args)
        self.train_dataset = _dataset(rows)
        self.eval_dataset = _dataset(compared(rows))

    def get_batch_samples(
        self, batches: Iterator[dict[str, Any]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], Any]:
        """A step's micro-batches, each with its shares of the step's rows and chosen tokens."""
        found: list[dict[str, Any]] = super().get_batch_samples(batches, num_batches, device)[0]
        sizes = [(len(b["ref_chosen_logps"]), _num_chosen_tokens(b)) for b in found]
        rows, tokens = (sum(column) for column in zip(*sizes, strict=True)) if found else (0, 0)
        for batch, (its_rows, its_tokens) in zip(found, sizes, strict=True):
            batch["shares"] = (its_rows / rows, its_tokens / tokens)
        return found, None

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL takes means over the rows, and for the SFT term over the chosen tokens, that it is
        given: a micro-batch's count as much as its share of the step."""
        of_rows, of_tokens = inputs.pop("shares", (1.0, 1.0))  # none when no step is taken
        weights, router_weight = self.loss_weights, getattr(self, "router_aux_loss_coef", 0.0)
        self.loss_weights = [
            weight * (of_tokens if loss == "sft" else of_rows)
            for loss, weight in zip(self.loss_types, weights, strict=True)
        ]
        self.router_aux_loss_coef = router_weight * of_rows
        try:
            return super().compute_loss(model, inputs, *args, **kwargs)
        finally:
            self.loss_weights, self.router_aux_loss_coef = weights, router_weight


def _three_words(tokenizer: Any) -> dict[str, Any]:
    """A preference in text; as messages where the tokenizer has no mark to end a text with."""
    if tokenizer.eos_token is not None:
        return {"prompt": "a", "chosen": "a", "rejected": "a"}
    answer = [{"role": "assistant", "content": "a"}]
    return {"prompt": [{"role": "user", "content": "a"}], "chosen": answer, "rejected": answer}


def _dataset(rows: Sequence[dict[str, Any]]) -> datasets.Dataset:
    """With the column `length`, by which rows are put together."""
    return datasets.Dataset.from_list([{**row, "length": max(_lengths(row))} for row in rows])


def _lengths(row: Mapping[str, Any]) -> list[int]:
    return [len(row["prompt_ids"]) + len(row[ids]) for ids in ("chosen_ids", "rejected_ids")]


def _num_chosen_tokens(batch: Mapping[str, Any]) -> int:
    chosen, _ = batch["completion_mask"].chunk(2)
    return int(chosen.sum())


def _loss_of(
    trainer: StepDPOTrainer, rows: Sequence[dict[str, Any]], precision: Precision
) -> float:
    loss = 0.0
    now = score(trainer.model, rows, precision, batch_size=len(rows))
    for row, (chosen, rejected) in zip(rows, now, strict=True):
        ratios = (chosen - row["ref_chosen_logps"], rejected - row["ref_rejected_logps"])
        loss += math.log1p(math.exp(-trainer.beta * (ratios[0] - ratios[1]))) / len(rows)
    return loss
