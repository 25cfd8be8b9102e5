"""A training stage on trees: `Optimisation` as TRL's configurations, and what is checked first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from trl import DPOConfig, SFTConfig

from w2stree.training.launcher import started_processes
from w2stree.training.layers import adapters
from w2stree.training.memory import told_of_memory
from w2stree.training.optimisation import Optimisation
from w2stree.training.precision import training_precision
from w2stree.training.stage import (
    Log,
    Progress,
    TrainedWeights,
    arguments,
    check_first_loss,
    compared,
    quiet,
    train,
)
from w2stree.training.trackers import SILENT, Reporting
from w2stree.training.trees.examples import Example
from w2stree.training.trees.objectives import Dpo
from w2stree.training.trees.trainer import TreeTrainer

Finish = Callable[[TreeTrainer], Any]


def train_sft(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    optimisation: Optimisation,
    *,
    output_dir: str,
    seed: int,
    progress: Progress | None = None,
    finish: Finish | None = None,
    reporting: Reporting = SILENT,
) -> TrainedWeights:
    """Minimise the mean negative log-likelihood of the tokens that count (L_SFT).

    The model's weights are cast to the precision that training needs (`precision_of`): trained
    whole they are float32 afterwards, whatever they were. `metrics` has `shared_ratio` too: tokens
    of the rows by tokens computed for them. Under a launcher a step is `batch_size` rows of all
    processes together; `finish` gives what becomes of the trainer in each of them, in place of its
    model with adapters merged.

    Raises as `TreeTrainer`; `InvalidInput` also where memory does not hold a batch, `ModelFailure`
    if the loss is no number.
    """
    stage = _Stage(model, optimisation, output_dir, seed, reporting)
    config = SFTConfig(max_length=None, **stage.arguments)
    return stage.run(tokenizer, examples, config, progress, finish)


def train_dpo(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    optimisation: Optimisation,
    *,
    beta: float,
    sft_weight: float,
    reference_is_start: bool,
    output_dir: str,
    seed: int,
    progress: Progress | None = None,
    finish: Finish | None = None,
    reporting: Reporting = SILENT,
) -> TrainedWeights:
    """Minimise -E log sigmoid(beta[log-ratio(s+|h) - log-ratio(s-|h)]) (Eq. 6), of examples with
    the reference's scores. `sft_weight` adds that much negative log-likelihood of the chosen side,
    which keeps it from losing mass; where it lost some, a warning says so (`LikelihoodDisplaced`).

    Raises as `train_sft`; also if with `reference_is_start` the loss before the first step is not
    ln 2: policy and reference would then differ although they must not.
    """
    stage = _Stage(model, optimisation, output_dir, seed, reporting)
    config = DPOConfig(
        max_length=None,
        beta=beta,
        loss_type=["sigmoid", "sft"] if sft_weight else ["sigmoid"],
        loss_weights=[1.0, sft_weight] if sft_weight else [1.0],
        **stage.arguments,
    )
    return stage.run(tokenizer, examples, config, progress, finish, is_start=reference_is_start)


class _Stage:
    """A model, and how it is trained."""

    def __init__(
        self,
        model: Any,
        optimisation: Optimisation,
        output_dir: str,
        seed: int,
        reporting: Reporting,
    ) -> None:
        precision = training_precision(model, lora=optimisation.lora is not None)
        self._model = model.to(precision.weights)
        self._optimisation, self._reporting = optimisation, reporting
        self.arguments = {
            **arguments(
                optimisation,
                precision,
                output_dir,
                seed,
                num_processes=started_processes(),
                reporting=reporting,
            ),
            "train_sampling_strategy": "random",
        }

    def run(
        self,
        tokenizer: Any,
        examples: Sequence[Example],
        config: SFTConfig | DPOConfig,
        progress: Progress | None,
        finish: Finish | None,
        *,
        is_start: bool = False,
    ) -> TrainedWeights:
        lengths = [len(s.ids) for e in examples for s in e.sequences]
        at_a_time = config.per_device_train_batch_size
        with quiet():
            trainer = TreeTrainer(
                self._model,
                config,
                examples,
                eval_dataset=compared(examples),
                processing_class=tokenizer,
                peft_config=adapters(self._model, self._optimisation.lora),
                callbacks=[Log(progress)],
            )
        with told_of_memory(at_a_time, longest=max(lengths)):
            if is_start:
                check_first_loss(trainer.loss_of(examples[:at_a_time], Dpo(config.beta)))
            trained = train(trainer, lengths, self._optimisation, finish, reporting=self._reporting)
        metrics = {**trained.metrics, "shared_ratio": trainer.shared_ratio}
        return replace(trained, metrics=metrics)
