"""SFT and DPO with TRL, the loss on agent turns only.

Inputs are token ids with masks that `rows.py` makes piece by piece (`turns/chat.py`): TRL's own
tokenisation, templates and truncation are never used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import torch
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.training.adapters import finished
from w2stree.training.labelled import check_head, label_only, plain
from w2stree.training.launcher import refuse_several_processes
from w2stree.training.layers import adapters
from w2stree.training.memory import told_of_memory
from w2stree.training.models import best_device
from w2stree.training.optimisation import Optimisation
from w2stree.training.positions import refuse_beyond_positions
from w2stree.training.precision import Precision, training_precision
from w2stree.training.rows import IGNORED
from w2stree.training.scoring import MaskedPreferenceCollator, score

_COMPARED_ROWS = 32
_AVERAGED_STEPS = 10
_ACCURACIES = {
    "rewards/accuracies": "reward_accuracy",
    "rewards/chosen": "reward_chosen",
    "mean_token_accuracy": "mean_token_accuracy",
}

Progress = Callable[[int, int, dict[str, float]], None]
"""Called after each optimiser step: (step, total steps, last logged metrics)."""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """A trained model (adapters merged), how training went in figures, and step by step.

    `metrics`: `loss_before` and `loss_after` are of the same rows, up to 32 spread over all, before
    the first step and after the last; `num_steps`; `tokens_per_s`, padding and comparison left out;
    the means of the last ten steps' accuracies. `steps` holds what the trainer logged of each
    step: `step`, `loss` of its batch, `grad_norm` before clipping, `learning_rate` and others.
    """

    model: Any
    metrics: dict[str, float]
    steps: list[dict[str, float]]


def train_sft(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, list[int]]],
    optimisation: Optimisation,
    *,
    output_dir: str,
    seed: int,
    progress: Progress | None = None,
) -> TrainedWeights:
    """Minimise the mean negative log-likelihood of the labelled tokens (L_SFT).

    The model's weights are cast to the precision that training needs (`precision_of`): trained
    whole they are float32 afterwards, whatever they were.

    Raises `InvalidInput` without rows, for a row without a labelled token (it would train on
    nothing) or with more tokens than the model has positions, for adapters of layers that the model
    does not have, and where memory does not hold a batch; `ModelFailure` if the loss is no number.
    """
    if not rows:
        raise InvalidInput("no rows to train on; where some were too long, raise max_length")
    for i, row in enumerate(rows):
        if all(label == IGNORED for label in row["labels"]):
            raise InvalidInput(f"rows[{i}] labels no token; its agent turns are empty")
    lengths = [len(row["input_ids"]) for row in rows]
    refuse_beyond_positions(model.config, lengths)
    precision = training_precision(model, lora=optimisation.lora is not None)
    trainer = MaskedSFTTrainer(
        model=model.to(precision.weights),
        args=_on_one_device(
            SFTConfig(max_length=None, **_arguments(optimisation, precision, output_dir, seed))
        ),
        train_dataset=datasets.Dataset.from_list(list(rows)),
        eval_dataset=datasets.Dataset.from_list(_compared(rows)),
        processing_class=tokenizer,
        peft_config=adapters(model, optimisation.lora),
        callbacks=[_Log(progress)],
    )
    return _train(trainer, lengths, optimisation, precision)


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
    if not rows:
        raise InvalidInput(
            "no preference rows to train on: lower min_gap, raise max_length, or explore more"
        )
    for i, row in enumerate(rows):
        for side in ("chosen", "rejected"):
            if not any(row[f"{side}_mask"]):
                raise InvalidInput(f"rows[{i}] scores no {side} token; its agent turns are empty")
    if optimisation.lora and optimisation.lora.dropout:
        raise InvalidInput("lora.dropout: DPO compares with a reference without dropout; set it 0")
    lengths = [
        len(row["prompt_ids"]) + len(row[side])
        for row in rows
        for side in ("chosen_ids", "rejected_ids")
    ]
    refuse_beyond_positions(model.config, lengths, sequences_a_row=2)
    precision = training_precision(model, lora=optimisation.lora is not None)
    config = DPOConfig(
        max_length=None,
        beta=beta,
        loss_type=["sigmoid", "sft"] if sft_weight else ["sigmoid"],
        loss_weights=[1.0, sft_weight] if sft_weight else [1.0],
        precompute_ref_log_probs=True,
        **_arguments(optimisation, precision, output_dir, seed),
    )
    trainer = MaskedDPOTrainer(
        model=model.to(precision.weights),
        args=_on_one_device(config),
        train_dataset=datasets.Dataset.from_list(list(rows)),
        eval_dataset=datasets.Dataset.from_list(_compared(rows)),
        processing_class=tokenizer,
        data_collator=MaskedPreferenceCollator(pad_token_id=tokenizer.pad_token_id),
        peft_config=adapters(model, optimisation.lora),
        callbacks=[_Log(progress)],
    )
    if reference_is_start:
        _check_first_loss(trainer, rows[: optimisation.rows_at_a_time], precision)
    return _train(trainer, lengths, optimisation, precision)


class _Stage:
    """What both of TRL's trainers do otherwise here: nothing is sent to anybody, and of the warm-up
    at least one step is left to learn in."""

    args: Any

    def _send_telemetry(self) -> None:
        """TRL would tell its makers' server of each training: model type, GPU, kind of data."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """A share of the steps. transformers takes a share of 1.0 for one step, and its first step
        of a warm-up has a rate of 0: a stage of that one step would learn nothing."""
        share = self.args.warmup_steps
        self.args.warmup_steps = min(math.ceil(num_training_steps * share), num_training_steps - 1)
        return super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]


class MaskedSFTTrainer(_Stage, SFTTrainer):  # type: ignore[misc]
    """SFT on labelled tokens. A step's loss is the mean over all its labelled tokens, in however
    many micro-batches they come, which transformers would leave to some models' own losses."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = True  # so that the step's tokens are counted
        self._loss_shifts_labels = True


class MaskedDPOTrainer(_Stage, DPOTrainer):  # type: ignore[misc]
    """DPO on rows that are already tokens, masks and reference log-probabilities.

    Overrides private hooks of TRL 1.16 (hence the version pin): tokenisation, the columns kept for
    the collator, and the pass that would compute the reference anew. A step's loss is the whole
    batch's in however many micro-batches it comes.
    """

    loss_is_scaled_for_ga = True
    loss_weights: list[float]
    router_aux_loss_coef: float

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "chosen_mask" not in self._signature_columns:
            self._signature_columns += ["chosen_mask", "rejected_mask"]

    def _precompute_ref_logps(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def get_batch_samples(self, *args: Any) -> tuple[list[dict[str, Any]], Any]:
        """A step's micro-batches, each with its shares of the step's rows and chosen tokens."""
        batches: list[dict[str, Any]] = super().get_batch_samples(*args)[0]
        if not batches:
            return batches, None
        sizes = [(len(b["ref_chosen_logps"]), _num_chosen_tokens(b)) for b in batches]
        rows, tokens = (sum(column) for column in zip(*sizes, strict=True))
        for batch, (its_rows, its_tokens) in zip(batches, sizes, strict=True):
            batch["shares"] = (its_rows / rows, its_tokens / tokens)
        return batches, None

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        """TRL takes means over the rows, and for the SFT term over the chosen tokens, that it is
        given: a micro-batch's count as much as its share of the step."""
        shares = inputs.pop("shares", (1.0, 1.0))  # none when no step is taken
        weights, router_weight = self.loss_weights, self.router_aux_loss_coef
        self.loss_weights = [w * share for w, share in zip(weights, shares, strict=False)]
        self.router_aux_loss_coef = router_weight * shares[0]
        try:
            return super()._compute_loss(model, inputs, return_outputs)
        finally:
            self.loss_weights, self.router_aux_loss_coef = weights, router_weight


def _num_chosen_tokens(batch: Mapping[str, Any]) -> int:
    chosen, _ = batch["completion_mask"].chunk(2)
    return int(chosen.sum())


def _check_first_loss(
    trainer: MaskedDPOTrainer, rows: Sequence[dict[str, Any]], precision: Precision
) -> None:
    loss = 0.0
    now = score(trainer.model, rows, precision, batch_size=len(rows))
    for row, (chosen, rejected) in zip(rows, now, strict=True):
        ratios = (chosen - row["ref_chosen_logps"], rejected - row["ref_rejected_logps"])
        loss += math.log1p(math.exp(-trainer.beta * (ratios[0] - ratios[1]))) / len(rows)
    if abs(loss - math.log(2)) > 1e-3:
        raise InvalidInput(
            f"the first DPO loss is {loss:.4f}, not ln 2 = {math.log(2):.4f}, although policy "
            "and reference are the same model: the reference log-probabilities are another's"
        )


class _Log(TrainerCallback):  # type: ignore[misc]
    """Keeps what is logged of each step and passes progress on; TRL's own bars are off."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.steps: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in (logs or {}):
            figures = {k: float(v) for k, v in logs.items()}
            self.steps.append({"step": state.global_step, **figures})
            if not math.isfinite(figures["loss"]):
                raise ModelFailure(
                    f"the loss of step {state.global_step} is {figures['loss']}: lower the "
                    "learning_rate or max_grad_norm, or raise warmup_ratio"
                )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.progress:
            self.progress(state.global_step, state.max_steps, self.steps[-1] if self.steps else {})


def _train(
    trainer: Any, lengths: Sequence[int], optimisation: Optimisation, precision: Precision
) -> TrainedWeights:
    """`lengths`: tokens of each sequence of an epoch."""
    trainer.remove_callback(PrinterCallback)
    label_only(plain(trainer.model))
    with precision.autocast():
        check_head(trainer.model)
    with told_of_memory(optimisation.rows_at_a_time, longest=max(lengths)):
        before = _loss_now(trainer)
        result = trainer.train()
        after = _loss_now(trainer)
    model = finished(trainer.model, optimisation.lora)
    vars(model).pop("forward", None)  # the fused head, and accelerate's autocast around it
    log = next(c for c in trainer.callback_handler.callbacks if isinstance(c, _Log))
    metrics = {
        "num_steps": float(trainer.state.global_step),
        "loss_before": before,
        "loss_after": after,
        "tokens_per_s": sum(lengths) * optimisation.num_epochs / result.metrics["train_runtime"],
        **_accuracies(log.steps[-_AVERAGED_STEPS:]),
    }
    return TrainedWeights(model, metrics, log.steps)


def _loss_now(trainer: Any) -> float:
    """The mean loss over the compared rows, drawing nothing from the generator of the training."""
    with torch.random.fork_rng(devices=[]):
        return float(trainer.evaluate()["eval_loss"])


def _compared(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose loss is taken before and after: all, or so many at equal distances."""
    count = min(len(rows), _COMPARED_ROWS)
    return [rows[i * len(rows) // count] for i in range(count)]


def _accuracies(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {
        name: sum(step[key] for step in steps) / len(steps)
        for key, name in _ACCURACIES.items()
        if key in steps[-1]
    }


def _on_one_device(arguments: Any) -> Any:
    """Trainer would spread each batch over all GPUs that it sees, which TRL refuses."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def _arguments(
    optimisation: Optimisation, precision: Precision, output_dir: str, seed: int
) -> dict[str, Any]:
    refuse_several_processes()
    on_cpu = best_device() == "cpu"
    at_a_time = optimisation.rows_at_a_time
    return {
        "output_dir": output_dir,
        "seed": seed,
        "num_train_epochs": optimisation.num_epochs,
        "learning_rate": optimisation.learning_rate,
        "per_device_train_batch_size": at_a_time,
        "per_device_eval_batch_size": at_a_time,
        "gradient_accumulation_steps": optimisation.batch_size // at_a_time,
        "warmup_steps": optimisation.warmup_ratio,
        "lr_scheduler_type": optimisation.scheduler,
        "weight_decay": optimisation.weight_decay,
        "max_grad_norm": optimisation.max_grad_norm,
        "adam_beta2": optimisation.adam_beta2,
        "train_sampling_strategy": "random",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number ends the training
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": not on_cpu,
        "use_cpu": on_cpu,
        "bf16": precision.is_autocast,
        "gradient_checkpointing": not on_cpu,
    }
