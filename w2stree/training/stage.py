"""One training, on trees or unshared: its arguments, what is kept of it, and what it leaves.

Nothing is sent to anybody but the trackers that are asked for: TRL would tell its makers' server
of each training.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import datasets
import huggingface_hub.constants
import torch
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer_utils import TrainOutput

from w2stree.errors import InvalidInput, LikelihoodDisplaced, ModelFailure
from w2stree.training.adapters import finished
from w2stree.training.curves import curves
from w2stree.training.launcher import rows_of_a_process
from w2stree.training.models import best_device
from w2stree.training.optimisation import Optimisation
from w2stree.training.precision import Precision
from w2stree.training.trackers import SILENT, Reporting

_Row = TypeVar("_Row")

_COMPARED_ROWS = 32
_NATS = 0.05  # of a row, where a loss of likelihood is told
_OF_FIRST_LOSS = 1e-3
_AVERAGED_STEPS = 10
_ALMOST_ALL = 1 - 1e-9  # transformers takes a share of 1.0 for one step
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


class WarmUp:
    """Of a trainer: the warm-up leaves at least one step to learn in.

    transformers' first step of a warm-up has a rate of 0: a training of that one step would learn
    nothing.
    """

    args: Any

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        given = self.args.warmup_steps
        warmup = self.args.get_warmup_steps(num_training_steps)
        self.args.warmup_steps = min(warmup, num_training_steps - 1)
        try:
            return super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]
        finally:
            self.args.warmup_steps = given


class NoStepTooMany:
    """Of a trainer: going on from the checkpoint of a last step within an epoch takes none.

    transformers asks whether all steps are taken after a step alone, and would take one more.
    """

    state: Any

    def train(self, *args: Any, **kwargs: Any) -> Any:
        at_the_end = _WhereAllAreTaken()
        self.add_callback(at_the_end)  # type: ignore[attr-defined]
        try:
            return super().train(*args, **kwargs)  # type: ignore[misc]
        except _AllStepsTakenError:
            return TrainOutput(self.state.global_step, 0.0, {"train_runtime": 0.0})
        finally:
            self.remove_callback(at_the_end)  # type: ignore[attr-defined]


class _AllStepsTakenError(Exception):
    """A checkpoint was of the last step."""


class _WhereAllAreTaken(TrainerCallback):  # type: ignore[misc]
    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            raise _AllStepsTakenError


class Log(TrainerCallback):  # type: ignore[misc]
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
                    "learning_rate or max_grad_norm, or warm up longer"
                )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.progress:
            self.progress(state.global_step, state.max_steps, self.steps[-1] if self.steps else {})


def train(
    trainer: Any,
    lengths: Sequence[int],
    optimisation: Optimisation,
    finish: Callable[[Any], Any] | None = None,
    *,
    reporting: Reporting = SILENT,
) -> TrainedWeights:
    """`lengths`: tokens of each sequence of an epoch. `finish` gives what is kept of the trainer,
    in place of its model with adapters merged. `reporting`: that of its `arguments`."""
    trainer.remove_callback(PrinterCallback)
    with curves(trainer, reporting):
        before = _figures_now(trainer)
        result = trainer.train()
        after = _figures_now(trainer)
    warn_of_displacement(
        before.get("eval_logps/chosen"), after.get("eval_logps/chosen"), term="sft_weight"
    )
    if finish is None:
        model = finished(trainer.model, optimisation.lora)
        vars(model).pop("forward", None)  # TRL's head, and accelerate's autocast around it
    else:
        model = finish(trainer)
    log = next(c for c in trainer.callback_handler.callbacks if isinstance(c, Log))
    metrics = {
        "num_steps": float(trainer.state.global_step),
        "loss_before": before["eval_loss"],
        "loss_after": after["eval_loss"],
        "tokens_per_s": sum(lengths) * trainer.state.epoch / result.metrics["train_runtime"],
        **_accuracies(log.steps[-_AVERAGED_STEPS:]),
    }
    return TrainedWeights(model, metrics, log.steps)


def _figures_now(trainer: Any) -> dict[str, float]:
    """Of the compared rows, drawing nothing from the generator of the training."""
    with torch.random.fork_rng(devices=[]):
        found: dict[str, float] = trainer.evaluate()
        return found


def warn_of_displacement(
    before: float | None, after: float | None, *, term: str, rows: str = ""
) -> None:
    """Tell where the chosen sides became less likely, in nats a row: both sides may, as long as
    the rejected one does so faster. `term` is the setting of an SFT term, `rows` whose sides they
    are."""
    if before is None or after is None or after >= before - _NATS:
        return
    warnings.warn(
        f"the chosen sides{rows} became less likely ({before:.2f} to {after:.2f} nats a row): the "
        "loss asks for a difference, and both sides may lose to what is in neither (likelihood "
        f"displacement); an SFT term ({term}), a larger beta or a lower learning_rate holds them",
        LikelihoodDisplaced,
        stacklevel=4,
    )


def check_first_loss(
    loss: float, cause: str = "the reference log-probabilities are another's"
) -> None:
    """Raises `InvalidInput` unless DPO's loss is ln 2, as of a policy that is its own reference."""
    if abs(loss - math.log(2)) > _OF_FIRST_LOSS:
        raise InvalidInput(
            f"the first DPO loss is {loss:.4f}, not ln 2 = {math.log(2):.4f}, although policy and "
            f"reference are the same model: {cause}"
        )


def compared(rows: Sequence[_Row]) -> list[_Row]:
    """The rows that are looked at before and after: all, or 32 at equal distances."""
    count = min(len(rows), _COMPARED_ROWS)
    return [rows[i * len(rows) // count] for i in range(count)]


def _accuracies(steps: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {
        name: sum(step[key] for step in steps) / len(steps)
        for key, name in _ACCURACIES.items()
        if key in steps[-1]
    }


def on_one_device(config: Any) -> Any:
    """Trainer would spread each batch over all GPUs that it sees, which TRL refuses."""
    if config.n_gpu > 1:
        config._n_gpu = 1
    return config


def arguments(
    optimisation: Optimisation,
    precision: Precision,
    output_dir: str,
    seed: int,
    *,
    num_processes: int = 1,
    reporting: Reporting = SILENT,
) -> dict[str, Any]:
    """What TRL's configurations have in common. Rows of like lengths come together (transformers'
    `group_by_length`), so that little of a batch is padding.

    A step is `batch_size` rows in however many processes. Raises `InvalidInput` where they do not
    share it evenly.
    """
    on_cpu = best_device() == "cpu"
    at_a_time, num_times = rows_of_a_process(
        optimisation.batch_size, optimisation.micro_batch_size, num_processes
    )
    return {
        "output_dir": output_dir,
        "seed": seed,
        **_length(optimisation),
        "learning_rate": optimisation.learning_rate,
        "per_device_train_batch_size": at_a_time,
        "per_device_eval_batch_size": at_a_time,
        "gradient_accumulation_steps": num_times,
        "warmup_steps": min(optimisation.warmup_ratio, _ALMOST_ALL),
        "lr_scheduler_type": optimisation.scheduler,
        "weight_decay": optimisation.weight_decay,
        "max_grad_norm": optimisation.max_grad_norm,
        "adam_beta2": optimisation.adam_beta2,
        "train_sampling_strategy": "group_by_length",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number ends the training
        "save_strategy": "no",
        "report_to": list(reporting.report_to),
        "run_name": reporting.run_name or None,
        "disable_tqdm": True,
        "dataloader_pin_memory": not on_cpu,
        "use_cpu": on_cpu,
        "bf16": precision.is_autocast,
        "gradient_checkpointing": not on_cpu,
    }


def _length(optimisation: Optimisation) -> dict[str, float]:
    if optimisation.num_steps is not None:
        return {"max_steps": optimisation.num_steps}
    assert optimisation.num_epochs is not None
    return {"num_train_epochs": optimisation.num_epochs}


@contextmanager
def quiet() -> Iterator[None]:
    """Within, nothing is sent to anybody and no bar is drawn while a trainer is made."""
    constants = huggingface_hub.constants
    was_sent, drawn = not constants.HF_HUB_DISABLE_TELEMETRY, datasets.are_progress_bars_disabled()
    tqdm = os.environ.get("TQDM_DISABLE")
    constants.HF_HUB_DISABLE_TELEMETRY = True
    datasets.disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = not was_sent
        if not drawn:
            datasets.enable_progress_bars()
        del os.environ["TQDM_DISABLE"]
        if tqdm is not None:
            os.environ["TQDM_DISABLE"] = tqdm
