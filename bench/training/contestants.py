"""Who trains: on trees, on padded batches, on padded batches of like lengths, and TRL."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch.nn.functional import logsigmoid
from transformers import PrinterCallback
from trl import DPOConfig, SFTConfig

from bench.equality import DifferentResultsError
from bench.training.workloads import Workload
from w2stree.rows.tokenized import IGNORED
from w2stree.training.models import load_model
from w2stree.training.optimisation import Optimisation
from w2stree.training.precision import training_precision
from w2stree.training.stage import arguments, quiet
from w2stree.training.trees.examples import Example, ExampleTensors
from w2stree.training.trees.objectives import Dpo, Sft
from w2stree.training.trees.passes import Part, backward
from w2stree.training.trees.rows import preference_examples, sft_examples
from w2stree.training.trees.trainer import MAX_PACK_TOKENS, TreeTrainer
from w2stree.training.unshared.collator import PreferenceCollator
from w2stree.training.unshared.dpo import StepDPOTrainer
from w2stree.training.unshared.scoring import batch_logprobs
from w2stree.training.unshared.sft import StepSFTTrainer

_BETA = 0.1
_RATE = 1e-12
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Trained:
    seconds: float
    num_computed_tokens: int


def tree(work: Workload, folder: Path) -> Trained:
    model, _ = load_model(work.model)
    trainer = TreeTrainer(model, _config(work, model, folder), _examples(work))
    trainer.remove_callback(PrinterCallback)
    seconds = _timed(trainer.train)
    return Trained(seconds, round(work.num_tokens / trainer.shared_ratio))


def trl(work: Workload, folder: Path) -> Trained:
    trainer = _trl(work, folder)
    trainer.remove_callback(PrinterCallback)
    return Trained(_timed(trainer.train), work.num_tokens)


def padded(work: Workload, folder: Path) -> Trained:
    """A plain loop, with the trees' head: logits of the scored tokens alone."""
    order = list(range(len(work.rows)))
    random.Random(0).shuffle(order)
    return _loop(work, order)


def by_length(work: Workload, folder: Path) -> Trained:
    """The same on rows in the order of their lengths: no batches can have less padding."""
    lengths = [max(sequences) for sequences in work.lengths]
    return _loop(work, sorted(range(len(lengths)), key=lengths.__getitem__))


CONTESTANTS: dict[str, Callable[[Workload, Path], Trained]] = {
    "tree": tree,
    "padded": padded,
    "by length": by_length,
    "TRL": trl,
}


def padding(work: Workload) -> float:
    """The share of the padded contestant's positions that are padding."""
    order = list(range(len(work.rows)))
    random.Random(0).shuffle(order)
    lengths = work.lengths
    computed = 0
    for batch in _batches(order, work.batch_size):
        sequences = [n for i in batch for n in lengths[i]]
        computed += max(sequences) * len(sequences)
    return 1 - work.num_tokens / computed


def assert_equal(work: Workload, folder: Path) -> None:
    """Loss and gradient of a batch of one task's rows and others', in float32."""
    few = work.dealt(max(1, len(set(work.tasks)) // 3))[0]
    few = Workload(few.name, few.rows[:4], few.tasks[:4], few.model, 4)
    found = {name: step(few, folder) for name, step in _STEPS.items()}
    loss, gradient = found.pop("tree")
    for name, (its_loss, its_gradient) in found.items():
        distance = float((gradient - its_gradient).norm() / its_gradient.norm())
        if abs(loss - its_loss) > _TOLERANCE * abs(its_loss) or not distance <= _TOLERANCE:
            raise DifferentResultsError(
                f"{work.name}: loss {loss} on trees, {its_loss} of {name}; gradients are "
                f"{distance:.1e} apart"
            )


def _tree_step(work: Workload, folder: Path) -> tuple[float, torch.Tensor]:
    model, _ = load_model(work.model)
    examples = _examples(work)
    objective = Sft() if work.is_sft else Dpo(_BETA)
    columns = ExampleTensors.of(examples)
    parts = Part.all_of([s for e in examples for s in e.sequences], MAX_PACK_TOKENS)
    found = backward(model, parts, objective, columns, objective.count(columns))
    return float(found.value), _gradient(model)


def _padded_step(work: Workload, folder: Path) -> tuple[float, torch.Tensor]:
    model, _ = load_model(work.model)
    loss = _padded_loss(work, model, work.rows)
    loss.backward()
    return float(loss.detach()), _gradient(model)


def _trl_step(work: Workload, folder: Path) -> tuple[float, torch.Tensor]:
    trainer = _trl(work, folder)
    trainer.model.eval()
    loss = trainer.compute_loss(trainer.model, dict(trainer.data_collator(work.rows)))
    loss.backward()
    return float(loss.detach()), _gradient(trainer.model)


_STEPS = {"tree": _tree_step, "padded": _padded_step, "TRL": _trl_step}


def _gradient(model: Any) -> torch.Tensor:
    return torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])


def _loop(work: Workload, order: Sequence[int]) -> Trained:
    model, _ = load_model(work.model)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.0)
    batches = list(_batches(order, work.batch_size))
    random.Random(1).shuffle(batches)

    def train() -> None:
        for batch in batches:
            _padded_loss(work, model, [work.rows[i] for i in batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return Trained(_timed(train), work.num_tokens)


def _padded_loss(work: Workload, model: Any, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
    if work.is_sft:
        one_sided = [_as_completion(row) for row in rows]
        batch = PreferenceCollator(0)(one_sided)
        half = {name: column[: len(rows)] for name, column in batch.items()}
        total: torch.Tensor = batch_logprobs(model, half).sum()
        return -total / half["completion_mask"][:, 1:].sum()
    batch = PreferenceCollator(0)(rows)
    chosen, rejected = batch_logprobs(model, batch).chunk(2)
    return -logsigmoid(_BETA * (chosen - rejected)).mean()


def _as_completion(row: dict[str, Any]) -> dict[str, Any]:
    ids, mask = row["input_ids"], [int(label != IGNORED) for label in row["labels"]]
    return {
        "prompt_ids": [],
        "chosen_ids": ids,
        "chosen_mask": mask,
        "rejected_ids": ids[:1],
        "rejected_mask": [0],
    }


def _batches(order: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (order[begin : begin + size] for begin in range(0, len(order), size))


def _examples(work: Workload) -> list[Example]:
    _, trees = np.unique(work.tasks, return_inverse=True)
    make = sft_examples if work.is_sft else preference_examples
    return make(work.rows, trees.tolist())


def _config(work: Workload, model: Any, folder: Path) -> Any:
    optimisation = Optimisation(
        num_epochs=1, learning_rate=_RATE, batch_size=work.batch_size, warmup_ratio=0.0
    )
    precision = training_precision(model, lora=False)
    common = arguments(optimisation, precision, str(folder / "trainer"), seed=0)
    common |= {"max_length": None, "train_sampling_strategy": "random", "logging_steps": 10**6}
    if work.is_sft:
        return SFTConfig(**common)
    return DPOConfig(beta=_BETA, precompute_ref_log_probs=True, **common)


def _trl(work: Workload, folder: Path) -> Any:
    model, tokenizer = load_model(work.model)
    config = _config(work, model, folder)
    config.remove_unused_columns = work.is_sft
    options = {"model": model, "args": config, "processing_class": tokenizer}
    with quiet():
        if work.is_sft:
            return StepSFTTrainer(train_dataset=datasets.Dataset.from_list(work.rows), **options)
        return StepDPOTrainer(work.rows, data_collator=PreferenceCollator(0), **options)


def _timed(train: Callable[[], object]) -> float:
    start = time.process_time()
    train()
    return time.process_time() - start
