"""SFT and DPO with TRL, the loss on agent turns only.

Inputs are token ids with masks that `rows.py` makes piece by piece (`turns/chat.py`): TRL's own
tokenisation, templates and truncation are never used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import datasets
import torch
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from w2stree.errors import InvalidInput
from w2stree.training.optimisation import Lora, Optimisation
from w2stree.training.rows import IGNORED

_LAST_STEPS = 10  # one batch's loss says little: the last ones are averaged

Progress = Callable[[int, int, dict[str, float]], None]
"""Called after each optimiser step: (step, total steps, last logged metrics)."""


def train_sft(
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, list[int]]],
    optimisation: Optimisation,
    *,
    output_dir: str,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Any, dict[str, float]]:
    """Minimise the mean negative log-likelihood of the labelled tokens (L_SFT).

    Returns the trained model (adapters merged) and metrics: the first step's loss, the mean of
    the last ten steps', tokens/s. Raises `InvalidInput` without rows, and for a row without a
    labelled token: it would train on nothing.
    """
    if not rows:
        raise InvalidInput("no rows to train on; where some were too long, raise max_length")
    for i, row in enumerate(rows):
        if all(label == IGNORED for label in row["labels"]):
            raise InvalidInput(f"rows[{i}] labels no token; its agent turns are empty")
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(max_length=None, **_arguments(optimisation, output_dir, seed)),
        train_dataset=datasets.Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        peft_config=_peft(optimisation.lora),
        callbacks=[_Log(progress)],
    )
    return _train(trainer, sum(len(row["input_ids"]) for row in rows) * optimisation.num_epochs)


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
) -> tuple[Any, dict[str, float]]:
    """Minimise -E log sigmoid(beta[log-ratio(s+|h) - log-ratio(s-|h)]) (Eq. 6).

    Rows carry ids, masks and the reference's log-probabilities (`ref_chosen_logps`,
    `ref_rejected_logps`; see `sequence_logprobs`), so that the reference may have another
    tokenizer and need not be in memory. `sft_weight` adds that much negative log-likelihood
    of the chosen side, which keeps it from losing mass. Returns as `train_sft`.

    Raises `InvalidInput` without rows, and if with `reference_is_start` the loss before the first
    step is not ln 2: policy and reference would then differ although they must not.
    """
    if not rows:
        raise InvalidInput("no preference rows to train on; lower min_gap or explore more")
    config = DPOConfig(
        max_length=None,
        beta=beta,
        loss_type=["sigmoid", "sft"] if sft_weight else ["sigmoid"],
        loss_weights=[1.0, sft_weight] if sft_weight else [1.0],
        precompute_ref_log_probs=True,
        **_arguments(optimisation, output_dir, seed),
    )
    trainer = MaskedDPOTrainer(
        model=model,
        args=config,
        train_dataset=datasets.Dataset.from_list(list(rows)),
        processing_class=tokenizer,
        data_collator=MaskedPreferenceCollator(pad_token_id=tokenizer.pad_token_id),
        peft_config=_peft(optimisation.lora),
        callbacks=[_Log(progress)],
    )
    if reference_is_start:
        _check_first_loss(trainer, rows, optimisation.batch_size)
    num_tokens = sum(
        2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"])
        for row in rows
    )
    return _train(trainer, num_tokens * optimisation.num_epochs)


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


class MaskedDPOTrainer(DPOTrainer):  # type: ignore[misc]
    """DPO on rows that are already tokens, masks and reference log-probabilities.

    Overrides three private hooks of TRL 1.16 (hence the version pin): tokenisation, the
    columns kept for the collator, and the pass that would compute the reference anew.
    """

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "chosen_mask" not in self._signature_columns:
            self._signature_columns += ["chosen_mask", "rejected_mask"]

    def _precompute_ref_logps(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset


@torch.inference_mode()
def sequence_logprobs(
    model: Any, rows: Sequence[dict[str, list[int]]], *, batch_size: int
) -> list[tuple[float, float]]:
    """(chosen, rejected) log-probability of each row's agent tokens given what precedes them.

    Rows are `tokenize_preferences` rows made with this model's own tokenizer.
    """
    model.eval()
    collate = MaskedPreferenceCollator(pad_token_id=0)
    logprobs: list[tuple[float, float]] = []
    for start in range(0, len(rows), batch_size):
        batch = collate(list(rows[start : start + batch_size]))
        ids, mask = batch["input_ids"].to(model.device), batch["completion_mask"][:, 1:]
        logits = model(
            input_ids=ids, attention_mask=batch["attention_mask"].to(model.device)
        ).logits
        scores = torch.log_softmax(logits[:, :-1].float(), dim=-1)
        token = scores.gather(2, ids[:, 1:, None]).squeeze(2).cpu()
        total = (token * mask).sum(dim=1)
        chosen, rejected = total.chunk(2)
        logprobs += zip(chosen.tolist(), rejected.tolist(), strict=True)
    return logprobs


def _check_first_loss(
    trainer: MaskedDPOTrainer, rows: Sequence[dict[str, Any]], batch_size: int
) -> None:
    batch = trainer.data_collator(list(rows[:batch_size]))
    now = sequence_logprobs(trainer.model, rows[:batch_size], batch_size=batch_size)
    loss = 0.0
    for (chosen, rejected), ref_c, ref_r in zip(
        now, batch["ref_chosen_logps"].tolist(), batch["ref_rejected_logps"].tolist(), strict=True
    ):
        margin = trainer.beta * ((chosen - ref_c) - (rejected - ref_r))
        loss += math.log1p(math.exp(-margin)) / len(now)
    if abs(loss - math.log(2)) > 1e-3:
        raise InvalidInput(
            f"the first DPO loss is {loss:.4f}, not ln 2 = {math.log(2):.4f}, although policy "
            "and reference are the same model: the reference log-probabilities are another's"
        )


class _Log(TrainerCallback):  # type: ignore[misc]
    """Keeps the losses and passes progress on; TRL's own bars are off."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.metrics: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in (logs or {}):
            self.metrics.append({k: float(v) for k, v in logs.items()})

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.progress:
            self.progress(
                state.global_step, state.max_steps, self.metrics[-1] if self.metrics else {}
            )


def _train(trainer: Any, num_tokens: float) -> tuple[Any, dict[str, float]]:
    trainer.remove_callback(PrinterCallback)
    result = trainer.train()
    log = next(c for c in trainer.callback_handler.callbacks if isinstance(c, _Log))
    first, last = log.metrics[0], _mean(log.metrics[-_LAST_STEPS:])
    model = trainer.model
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    metrics = {
        "num_steps": float(trainer.state.global_step),
        "first_loss": first["loss"],
        "last_loss": last["loss"],
        "tokens_per_s": num_tokens / result.metrics["train_runtime"],
    }
    for key in ("rewards/accuracies", "rewards/chosen", "mean_token_accuracy"):
        if key in last:
            metrics[key.replace("rewards/", "reward_").replace("accuracies", "accuracy")] = last[
                key
            ]
    return model, metrics


def _mean(metrics: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: sum(m[key] for m in metrics) / len(metrics) for key in metrics[-1]}


def _peft(lora: Lora | None) -> LoraConfig | None:
    if lora is None:
        return None
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        target_modules=list(lora.target_modules),
        task_type="CAUSAL_LM",
    )


def _arguments(optimisation: Optimisation, output_dir: str, seed: int) -> dict[str, Any]:
    on_cpu = not torch.cuda.is_available()
    return {
        "output_dir": output_dir,
        "seed": seed,
        "num_train_epochs": optimisation.num_epochs,
        "learning_rate": optimisation.learning_rate,
        "per_device_train_batch_size": optimisation.batch_size,
        "warmup_steps": optimisation.warmup_ratio,
        "lr_scheduler_type": optimisation.scheduler,
        "weight_decay": optimisation.weight_decay,
        "max_grad_norm": 1.0,
        "adam_beta2": optimisation.adam_beta2,
        "train_sampling_strategy": "random",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": not on_cpu,
        "use_cpu": on_cpu,
        "bf16": not on_cpu,
        "gradient_checkpointing": not on_cpu,
    }
