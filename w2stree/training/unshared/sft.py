"""SFT with TRL, the loss on agent turns only.

Rows are token ids with labels that `rows.py` makes piece by piece (`turns/chat.py`); TRL takes them
as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import datasets
import torch
from trl import SFTConfig, SFTTrainer

from w2stree.errors import InvalidInput
from w2stree.rows.tokenized import IGNORED
from w2stree.training.launcher import refuse_several_processes
from w2stree.training.layers import adapters
from w2stree.training.memory import told_of_memory
from w2stree.training.optimisation import Optimisation
from w2stree.training.positions import refuse_beyond_positions
from w2stree.training.precision import refuse_other_precision, training_precision
from w2stree.training.stage import (
    Log,
    NoStepTooMany,
    Progress,
    TrainedWeights,
    WarmUp,
    arguments,
    compared,
    on_one_device,
    quiet,
    train,
)
from w2stree.training.trackers import SILENT, Reporting
from w2stree.training.unshared.agreement import check_sft, told_of_trl


def train_sft(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, list[int]]],
    optimisation: Optimisation,
    *,
    output_dir: str,
    seed: int,
    progress: Progress | None = None,
    reporting: Reporting = SILENT,
) -> TrainedWeights:
    """Minimise the mean negative log-likelihood of the labelled tokens (L_SFT).

    The model's weights are cast to the precision that training needs (`precision_of`): trained
    whole they are float32 afterwards, whatever they were.

    Raises `InvalidInput` without rows, for a row without a labelled token (it would train on
    nothing) or with more tokens than the model has positions, for adapters of layers that the model
    does not have, and where memory does not hold a batch; `ModelFailure` if the loss is no number.
    """
    refuse_several_processes()
    if not rows:
        raise InvalidInput("no rows to train on; where some were too long, raise max_length")
    for i, row in enumerate(rows):
        if all(label == IGNORED for label in row["labels"]):
            raise InvalidInput(f"rows[{i}] labels no token; its agent turns are empty")
    lengths = [len(row["input_ids"]) for row in rows]
    refuse_beyond_positions(model.config, lengths)
    precision = training_precision(model, lora=optimisation.lora is not None)
    with quiet(), told_of_trl():
        trainer = StepSFTTrainer(
            model=model.to(precision.weights),
            args=on_one_device(
                SFTConfig(
                    max_length=None,
                    **arguments(optimisation, precision, output_dir, seed, reporting=reporting),
                )
            ),
            train_dataset=datasets.Dataset.from_list(list(rows)),
            eval_dataset=datasets.Dataset.from_list(compared(rows)),
            processing_class=tokenizer,
            peft_config=adapters(model, optimisation.lora),
            callbacks=[Log(progress)],
        )
    with told_of_memory(optimisation.rows_at_a_time, longest=max(lengths)):
        check_sft(trainer, rows[0], precision)
        return train(trainer, lengths, optimisation, reporting=reporting)


class StepSFTTrainer(NoStepTooMany, WarmUp, SFTTrainer):  # type: ignore[misc]
    """A step's loss is the mean over all its labelled tokens, in however many micro-batches they
    come, which transformers would leave to some models' own losses."""

    loss_is_scaled_for_ga = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        refuse_other_precision(self.accelerator, self.args)
        self.model_accepts_loss_kwargs = True  # TRL to 1.14 has the model's own loss divide

    def get_batch_samples(
        self, batches: Iterator[dict[str, Any]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], Any]:
        """A step's micro-batches, and how many tokens all of them label."""
        found: list[dict[str, Any]] = super().get_batch_samples(batches, num_batches, device)[0]
        if not found:
            return found, None
        return found, sum((batch["labels"][:, 1:] != IGNORED).sum() for batch in found).to(device)
