"""Which of TRL's and transformers' arguments hold on trees, and why the others do not.

Every field of `SFTConfig` and `DPOConfig` is in one of the two tables below, so that none passes in
silence: what is in `REFUSED` must have its default.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from trl import DPOConfig, SFTConfig

from w2stree.errors import InvalidInput
from w2stree.training.precision import refuse_other_precision
from w2stree.training.trees.examples import Example, ExampleTensors
from w2stree.training.trees.objectives import Dpo, Figures, Ipo, Objective, Sft
from w2stree.training.trees.scores import Scored

_TOKENS = "examples are token ids already: w2stree.rows.tokenized makes them of runs"
_COUNTS = "which tokens count is in each example's weights"
_LOADED = "give a loaded model"
_NO_PADDING = "packs are made of trees and hold no padding"
_NO_REFERENCE_MODEL = "the reference's scores are in the examples"
_NO_OTHER_LOSS = "it belongs to a loss that is not computed on trees"
_NO_PREDICTIONS = "an evaluation keeps sums, no predictions"
_SENDS_NOTHING = "this trainer sends nothing to anybody; push what it saved, model.push_to_hub"

REFUSED = {
    # The model
    "model_init_kwargs": _LOADED,
    "trust_remote_code": _LOADED,
    "router_aux_loss_coef": "an auxiliary loss of a router would see each shared token once",
    # The data
    "chat_template_path": _TOKENS,
    "dataset_text_field": _TOKENS,
    "dataset_kwargs": _TOKENS,
    "dataset_num_proc": _TOKENS,
    "eos_token": _TOKENS,
    "pad_token": _NO_PADDING,
    "truncation_mode": "no row is cut: rows of more than max_length tokens are left out",
    "packing": _NO_PADDING,
    "packing_strategy": _NO_PADDING,
    "eval_packing": _NO_PADDING,
    "padding_free": _NO_PADDING,
    "pad_to_multiple_of": _NO_PADDING,
    "shuffle_dataset": "each epoch is shuffled, by data_seed or seed",
    "completion_only_loss": _COUNTS,
    "assistant_only_loss": _COUNTS,
    "remove_unused_columns": "examples have no columns",
    "label_names": "examples have no columns",
    "length_column_name": "examples have no columns",
    "precompute_ref_batch_size": _NO_REFERENCE_MODEL,
    # The loss
    "ld_alpha": _NO_OTHER_LOSS,
    "f_divergence_type": _NO_OTHER_LOSS,
    "f_alpha_divergence_coef": _NO_OTHER_LOSS,
    "use_weighting": _NO_OTHER_LOSS,
    "discopop_tau": _NO_OTHER_LOSS,
    "sync_ref_model": _NO_REFERENCE_MODEL,
    "ref_model_mixup_alpha": _NO_REFERENCE_MODEL,
    "ref_model_sync_steps": _NO_REFERENCE_MODEL,
    "label_smoothing_factor": "losses are of scores, not of labels; DPOConfig has label_smoothing",
    "neftune_noise_alpha": "a token that sequences share has one embedding, and so one noise",
    "average_tokens_across_devices": "a step's loss is a mean over all processes' examples",
    # The computation
    "fp16": "float16 is never computed with here; train with bf16, or in float32",
    "fp16_full_eval": "the weights would stay rounded after an evaluation",
    "bf16_full_eval": "the weights would stay rounded after an evaluation; bf16 evaluates in it",
    "torch_compile": "every pack has another shape, and would be compiled anew",
    "torch_compile_backend": "every pack has another shape, and would be compiled anew",
    "torch_compile_mode": "every pack has another shape, and would be compiled anew",
    "use_liger_kernel": "its forward passes of whole models take no trees",
    "liger_kernel_config": "its forward passes of whole models take no trees",
    "use_cache": "a pass over a pack caches nothing",
    "activation_offloading": "activation_checkpointing_kwargs={'offload': True} is transformers'",
    "parallelism_config": "it cuts sequences, and a pack is not one sequence",
    "deepspeed": "a micro-batch in several parts is several backward passes, which it counts",
    "ddp_static_graph": "steps differ in the number of their passes",
    "accelerator_config": "batches are dealt to processes here, whole trees together",
    # The evaluation and the hub
    "prediction_loss_only": _NO_PREDICTIONS,
    "eval_do_concat_batches": _NO_PREDICTIONS,
    "eval_use_gather_object": _NO_PREDICTIONS,
    "eval_accumulation_steps": _NO_PREDICTIONS,
    "include_for_metrics": _NO_PREDICTIONS,
    "batch_eval_metrics": _NO_PREDICTIONS,
    "push_to_hub": _SENDS_NOTHING,
    "hub_model_id": _SENDS_NOTHING,
    "hub_token": _SENDS_NOTHING,
    "hub_private_repo": _SENDS_NOTHING,
    "hub_strategy": _SENDS_NOTHING,
    "hub_always_push": _SENDS_NOTHING,
    "hub_revision": _SENDS_NOTHING,
}

_HOLD = {
    "the step": """
        per_device_train_batch_size gradient_accumulation_steps num_train_epochs
        max_steps seed data_seed train_sampling_strategy max_length dataloader_drop_last
        auto_find_batch_size
    """,
    "the loss": """
        loss_type loss_weights beta label_smoothing precompute_ref_log_probs
        disable_dropout
    """,
    "the optimiser": """
        learning_rate lr_scheduler_type lr_scheduler_kwargs warmup_steps optim
        optim_args optim_target_modules weight_decay adam_beta1 adam_beta2 adam_epsilon
        max_grad_norm
    """,
    "the computation": """
        bf16 tf32 use_cpu activation_checkpointing activation_checkpointing_kwargs
        gradient_checkpointing gradient_checkpointing_kwargs torch_empty_cache_steps
        full_determinism debug skip_memory_metrics dataloader_num_workers
        dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor
        dataloader_multiprocessing_context dataloader_in_order
    """,
    "several processes": """
        fsdp fsdp_config ddp_find_unused_parameters ddp_bucket_cap_mb
        ddp_broadcast_buffers ddp_backend ddp_timeout local_rank
    """,
    "telling": """
        logging_strategy logging_steps logging_first_step log_on_each_node
        logging_nan_inf_filter include_num_input_tokens_seen log_level log_level_replica
        disable_tqdm report_to run_name project trackio_space_id trackio_bucket_id
        trackio_static_space_id
    """,
    "evaluating and saving": """
        eval_strategy eval_steps eval_delay per_device_eval_batch_size eval_on_start
        output_dir save_only_model save_strategy save_steps save_on_each_node
        save_total_limit enable_jit_checkpoint load_best_model_at_end
        metric_for_best_model greater_is_better ignore_data_skip
        restore_callback_states_from_checkpoint resume_from_checkpoint do_train do_eval
        do_predict
    """,
}

HOLDING = frozenset(name for names in _HOLD.values() for name in names.split())


def refuse_what_trees_cannot(args: SFTConfig | DPOConfig) -> None:
    """Raises `InvalidInput` for an argument that does not hold on trees, by its name and the
    reason; also for one that is not known here, of a later release."""
    default = type(args)(output_dir=args.output_dir, use_cpu=args.use_cpu, bf16=args.bf16)
    for name in sorted(names(type(args))):
        value, usual = (_plain(getattr(a, name)) for a in (args, default))
        if value == usual or name in HOLDING:
            continue
        why = REFUSED.get(name, "it is not known here; leave it at its default")
        raise InvalidInput(f"{name}={value!r} cannot hold on trees: {why}")
    if args.train_sampling_strategy not in ("random", "sequential"):
        raise InvalidInput(
            f"train_sampling_strategy={args.train_sampling_strategy!r} cannot hold on trees: "
            "examples of one tree come together, and nothing is padded; use random or sequential"
        )
    if args.ddp_broadcast_buffers:
        raise InvalidInput(
            "ddp_broadcast_buffers=True cannot hold on trees: processes differ in the number of "
            "their passes"
        )
    if str(getattr(args.optim, "value", args.optim)) in ("lomo", "adalomo"):
        raise InvalidInput(
            f"optim={args.optim!r} cannot hold on trees: it updates weights in the backward pass, "
            "and a micro-batch in several parts has several"
        )


def refuse_other_launcher(accelerator: Any, args: SFTConfig | DPOConfig) -> None:
    """Raises `InvalidInput` for what a launcher's options or its file (`accelerate config`) say and
    cannot hold on trees, and for FSDP where accelerate would leave it out without a word. One
    process has nothing to shard, whatever stands in its environment: transformers writes `fsdp`
    there before it refuses it."""
    kind = str(getattr(accelerator.distributed_type, "value", accelerator.distributed_type))
    is_sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1")
    if is_sharded and kind not in ("FSDP", "NO"):
        raise InvalidInput(
            f"FSDP is asked for, but accelerate shards on accelerators alone and would train on "
            f"{accelerator.device.type} without it: leave it out (--multi_gpu)"
        )
    if kind not in ("NO", "MULTI_GPU", "MULTI_CPU", "FSDP"):
        raise InvalidInput(
            f"the launcher asks for {kind}, which cannot hold on trees: use --multi_gpu or "
            "--use_fsdp"
        )
    refuse_other_precision(accelerator, args)
    backend = str(accelerator.state.dynamo_plugin.backend.value)
    if backend != "NO":
        raise InvalidInput(
            f"the launcher asks for dynamo_backend {backend}: {REFUSED['torch_compile']}; leave it "
            "out of the launcher's options and its file"
        )


def names(config: type) -> set[str]:
    """The arguments of a configuration, without its fields that are no arguments."""
    return {f.name for f in fields(config) if f.init}


def _plain(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else value


def objective_of(args: SFTConfig | DPOConfig) -> Objective:
    """The loss that a configuration names.

    SFTConfig   nll
    DPOConfig   sigmoid, robust or ipo, alone or with sft, each with its weight of loss_weights

    Raises `InvalidInput` for another `loss_type`, for two preferences in one, and for
    `label_smoothing` of another loss than robust (TRL would not look at it).
    """
    if isinstance(args, SFTConfig):
        if args.loss_type != "nll":
            raise InvalidInput(
                f"loss_type={args.loss_type!r} cannot hold on trees: its tokens weigh what the "
                "model says of them; use nll"
            )
        return Sft()
    weights = dict(
        zip(args.loss_type, args.loss_weights or [1.0] * len(args.loss_type), strict=True)
    )
    imitated = weights.pop("sft", 0.0)
    if len(weights) != 1 or not weights.keys() <= {"sigmoid", "robust", "ipo"}:
        raise InvalidInput(
            f"loss_type={args.loss_type!r} cannot hold on trees; use sigmoid, robust or ipo, one "
            "of them, with sft beside it or without"
        )
    [(preferred, weight)] = weights.items()
    if not weight > 0:
        raise InvalidInput(f"loss_weights gives {preferred} {weight}; give a number above 0")
    if args.label_smoothing and preferred != "robust":
        raise InvalidInput(
            f"label_smoothing={args.label_smoothing} is of loss_type robust, not of {preferred}"
        )
    objective: Objective
    if preferred == "ipo":
        objective = Ipo(args.beta, imitated / weight)
    else:
        objective = Dpo(
            args.beta,
            imitated / weight,
            label_smoothing=args.label_smoothing,
            is_robust=preferred == "robust",
        )
    return objective if weight == 1.0 else _Times(objective, weight)


@dataclass(frozen=True, slots=True)
class _Times:
    """A loss so many times: what TRL's `loss_weights` give it."""

    of: Objective
    weight: float

    @property
    def is_linear(self) -> bool:
        return self.of.is_linear

    def check(self, examples: Sequence[Example]) -> None:
        self.of.check(examples)

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        return self.of.count(examples)

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        return self.weight * self.of.loss(scores, examples, totals)

    def figures(self, scored: Scored, examples: ExampleTensors) -> Figures:
        return self.of.figures(scored, examples)
