"""A small training on trees, as a program too: `python -m support.tree_training OUT METHOD …`.

Examples, model and configuration are the same in every process that asks for them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.tiny_models import tiny_model, tiny_tokenizer
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, SFTConfig

from w2stree.training.trees.examples import Example
from w2stree.training.trees.sequences import ScoredIds
from w2stree.training.trees.trainer import TreeTrainer


def sequence(draw: np.random.Generator, tree: int) -> ScoredIds:
    """Of a tree whose sequences begin alike, and part soon."""
    ids = np.concatenate([np.arange(5) + 10 * tree, draw.integers(5, 9, draw.integers(4, 20))])
    weight = np.concatenate([np.zeros(5), draw.integers(0, 2, len(ids) - 5)])
    weight[-1] = 1
    return ScoredIds.of(ids, weight, tree)


def sft_examples(count: int = 11) -> list[Example]:
    draw = np.random.default_rng(0)
    return [Example((sequence(draw, i % 3),)) for i in range(count)]


def pairs(count: int = 11) -> list[Example]:
    draw = np.random.default_rng(1)
    return [
        Example(
            (sequence(draw, i % 3), sequence(draw, i % 3)),
            reference=tuple(-40 + draw.normal(size=2)),
        )
        for i in range(count)
    ]


def config(method: str, out: Path | str, **options: Any) -> SFTConfig | DPOConfig:
    """float32 on the CPU, nothing printed, nothing saved, a few steps."""
    settings = {
        "output_dir": str(out),
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "num_train_epochs": 2,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "seed": 3,
        **options,
    }
    if method == "sft":
        return SFTConfig(**settings)
    return DPOConfig(**{"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5], **settings})


def trainer(method: str, out: Path | str, **options: Any) -> TreeTrainer:
    """With options of `TreeTrainer` by their names, and others of its configuration."""
    own = ("model", "eval_dataset", "peft_config", "callbacks", "objective", "max_pack_tokens")
    given = {name: options.pop(name) for name in own if name in options}
    tokenizer = tiny_tokenizer()
    examples = options.pop("examples", sft_examples() if method == "sft" else pairs())
    made = TreeTrainer(
        given.pop("model", None) or tiny_model(tokenizer),
        config(method, out, **options),
        examples,
        processing_class=tokenizer,
        **given,
    )
    made.remove_callback(PrinterCallback)
    return made


class Killed(TrainerCallback):  # type: ignore[misc]
    """Ends its process as `kill -9` does, after a step's checkpoint."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            os.kill(os.getpid(), 9)


def main(out: Path, method: str, options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    killed_after = options.pop("killed_after", None)
    resume = options.pop("resume", None)
    callbacks = [Killed(killed_after)] if killed_after else []
    if num_held_out := options.pop("num_held_out", 0):
        options["eval_dataset"] = pairs(num_held_out)
    made = trainer(method, out, callbacks=callbacks, **options)
    evaluations = [made.evaluate()] if num_held_out else []
    made.train(resume_from_checkpoint=resume)
    if num_held_out:
        evaluations.append(made.evaluate())
    if made.is_world_process_zero():
        torch.save(made.accelerator.unwrap_model(made.model).state_dict(), out / "weights.pt")
        losses = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
        losses += [told["eval_loss"] for told in evaluations]
        (out / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
    made.accelerator.wait_for_everyone()  # the first process may still be writing
    made.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
