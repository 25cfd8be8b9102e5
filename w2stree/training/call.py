"""What `train_sft` and `train_dpo` share: from a start and examples to a folder with a model.

start ──────────────┐
examples ─ tasks ───┼─ held out ──> measured before ┐
                    └─ the others ─> a trainer ─────┼─> measured after ─> OUT/
                                     checkpoints ───┘   model, README.md, losses.jsonl, metrics
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PrinterCallback

from w2stree.errors import Error, InvalidInput, RowWarning
from w2stree.rows.holdout import hold_out, refuse_no_share
from w2stree.training.call_settings import changed_settings, with_folder
from w2stree.training.curves import curves
from w2stree.training.launcher import refuse_several_processes
from w2stree.training.layers import adapters
from w2stree.training.measuring import check_start
from w2stree.training.memory import told_of_memory
from w2stree.training.model_card import ModelCard
from w2stree.training.model_folder import ModelFolder, making
from w2stree.training.models import best_device, save_model
from w2stree.training.optimisation import Lora
from w2stree.training.precision import training_precision
from w2stree.training.stage import Log, Progress, compared
from w2stree.training.start import Start
from w2stree.training.trackers import Reporting, now, refuse_absent_trackers
from w2stree.training.trees.arguments import objective_of, refuse_what_trees_cannot
from w2stree.training.trees.examples import Example
from w2stree.training.trees.reference import model_digest, plain
from w2stree.training.trees.trainer import TreeTrainer
from w2stree.training.unshared.trainer import unshared_trainer


class Measure(Protocol):
    """Figures of a model on examples (`w2stree.training.measuring`)."""

    def __call__(
        self, model: Any, examples: Sequence[Example], *, lora: bool, unshared: bool
    ) -> dict[str, float]: ...


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a training left: the folder, its figures, and what was logged step by step.

    `output_dir` is a directory that `from_pretrained` opens. `metrics` is its `metrics.json`,
    `losses` its `losses.jsonl`.
    """

    output_dir: Path
    metrics: dict[str, float]
    losses: list[dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """A training, ready to begin.

    `rows` are tokenised (`w2stree.rows.tokenized`), `examples` what they score, `tasks` what
    they ask; one each. `measure` gives figures of a model on examples.
    """

    method: str
    start: Start
    reference: str | None
    """As the model card names it."""
    is_own_reference: bool
    rows: Sequence[Mapping[str, Any]]
    examples: Sequence[Example]
    tasks: Sequence[Hashable]
    counts: Mapping[str, int]
    """Of rows: used, and left out by reason."""
    holdout: float
    args: Any
    peft_config: Any
    """PEFT's, or a `Lora`."""
    max_length: int
    unshared: bool
    measure: Measure
    progress: Progress | None

    def run(self, output_dir: Path) -> TrainedModel:
        """Train, measure, and leave the folder. See `making` for what is refused."""
        kept = hold_out(self.tasks, self.holdout, seed=self.args.seed)
        if self.holdout and not kept.num_held_out_tasks:
            warnings.warn(kept.in_words(), RowWarning, stacklevel=4)
        parts = [[i for i, held in enumerate(kept.is_held_out) if held is h] for h in (False, True)]
        learned, held_out = parts
        configuration = self._configuration()
        digest = self._digest(learned)
        request = {
            "method": self.method,
            "start": model_digest(self.start.model),
            "reference": self._reference_digest(),
            "rows": digest,
            "rows held out": self._digest(held_out),
            **configuration,
        }
        is_writer = self.args.process_index == 0
        with making(output_dir, request, is_writer=is_writer) as folder:
            metrics, losses, model = self._train(folder, learned, held_out)
            if is_writer:
                card = ModelCard(
                    method=self.method,
                    base_model=self.start.name,
                    reference=self.reference,
                    data_digest=digest,
                    rows={**self.counts, "trained on": len(learned), "held out": len(held_out)},
                    holdout=kept.in_words(),
                    metrics=metrics,
                    configuration=configuration,
                )
                _write(folder, model, self.start.tokenizer, card, losses)
        return TrainedModel(output_dir, metrics, losses)

    def _train(
        self, folder: ModelFolder, learned: Sequence[int], held_out: Sequence[int]
    ) -> tuple[dict[str, float], list[dict[str, float]], Any]:
        unseen = [self.examples[i] for i in held_out]
        seen = [self.examples[i] for i in compared(learned)]
        before = self._figures(self.start.model, seen, unseen)
        trainer = self._trainer(learned, folder)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Log(self.progress if folder.is_writer else None))
        checkpoint = folder.last_checkpoint()
        begin = time.monotonic()
        at_a_time = self.args.per_device_train_batch_size
        longest = max(len(s.ids) for e in self.examples for s in e.sequences)
        with told_of_memory(at_a_time, longest=longest):
            if self.is_own_reference and not self._lora:  # new adapters add nothing
                check_start(trainer.model, seen[:at_a_time], self.args.beta, unshared=self.unshared)
            with curves(trainer, self._reporting(folder)):
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = time.monotonic() - begin
        model = trainer.accelerator.unwrap_model(trainer.model)
        if self._lora and self._is_merged:
            model = model.merge_and_unload()
        vars(model).pop("forward", None)  # accelerate's autocast around it
        after = self._figures(model, seen, unseen)
        losses = [dict(entry) for entry in trainer.state.log_history if "loss" in entry]
        figures = {
            f"{name}_{when}": value
            for name in before
            for when, value in (("before", before[name]), ("after", after[name]))
        }
        metrics = {
            "num_trained_rows": float(len(learned)),
            "num_held_out_rows": float(len(held_out)),
            "num_steps": float(trainer.state.global_step),
            "train_seconds": seconds,
            **figures,
        }
        return metrics, losses, model

    def _figures(
        self, model: Any, seen: Sequence[Example], unseen: Sequence[Example]
    ) -> dict[str, float]:
        """Of rows that are trained on, up to 32 of them, and of those that are not."""
        return {
            f"{name}_{figure}": value
            for name, examples in (("trained", seen), ("held_out", unseen))
            if examples
            for figure, value in self.measure(
                model, examples, lora=self._lora, unshared=self.unshared
            ).items()
        }

    def _trainer(self, learned: Sequence[int], folder: ModelFolder) -> Any:
        precision = training_precision(self.start.model, lora=self._lora)
        model = self.start.model.to(best_device(), precision.weights).train()
        args = with_folder(self.args, folder.partial, max_length=self.max_length)
        args.run_name = args.run_name or folder.path.name  # one for whoever goes on with it
        options = {
            "model": model,
            "args": args,
            "processing_class": self.start.tokenizer,
            "peft_config": _peft_config(model, self.peft_config),
        }
        try:
            if self.unshared:
                return unshared_trainer([dict(self.rows[i]) for i in learned], options)
            return TreeTrainer(train_dataset=[self.examples[i] for i in learned], **options)
        except (ValueError, ImportError, RuntimeError) as error:
            if isinstance(error, Error | torch.OutOfMemoryError):
                raise
            raise InvalidInput(f"{type(self.args).__name__}: {error}") from error

    def _reporting(self, folder: ModelFolder) -> Reporting:
        """Files of curves stand with the model; a training that goes on begins new ones, which
        are told apart by when."""
        name = f"{self.args.run_name or folder.path.name}.{now()}"
        directory = str(folder.curves.absolute()) if folder.is_writer else ""
        return Reporting(tuple(self.args.report_to), name, directory)

    @property
    def _lora(self) -> bool:
        return self.peft_config is not None

    @property
    def _is_merged(self) -> bool:
        return not isinstance(self.peft_config, Lora) or self.peft_config.merge

    def _configuration(self) -> dict[str, Any]:
        """What differs from the defaults, as plain values."""
        given = self.peft_config
        if isinstance(given, Lora):
            its: Any = asdict(given)
        else:
            its = None if given is None else json.loads(json.dumps(given.to_dict(), default=plain))
        beside = {"adapters": its, "max_length": self.max_length, "unshared": self.unshared}
        return {
            **changed_settings(self.args),
            **{name: value for name, value in beside.items() if value},
            "holdout": self.holdout,
            "seed": self.args.seed,
        }

    def _digest(self, indices: Sequence[int]) -> str:
        found = hashlib.sha256()
        for i in indices:
            for sequence in self.examples[i].sequences:
                found.update(np.int64(len(sequence.ids)).tobytes())
                found.update(sequence.ids.tobytes())
                found.update(sequence.weight.tobytes())
            if self.examples[i].target or self.examples[i].weight != 1:
                said = (*self.examples[i].target, self.examples[i].weight)
                found.update(np.asarray(said, np.float64).tobytes())
        return found.hexdigest()

    def _reference_digest(self) -> str | None:
        sums = [x for example in self.examples for x in example.reference]
        if not sums:
            return None
        return hashlib.sha256(np.round(np.asarray(sums), 2).tobytes()).hexdigest()


def check_before_rows(args: Any, holdout: float, *, unshared: bool) -> None:
    """Raises `InvalidInput` for what would be refused after the rows were made and scored."""
    refuse_no_share(holdout)
    if unshared:
        refuse_several_processes()
    else:
        refuse_what_trees_cannot(args)
        objective_of(args)
    refuse_absent_trackers(args.report_to)


def _peft_config(model: Any, given: Any) -> Any:
    return adapters(model, given) if isinstance(given, Lora) else given


def _write(
    folder: ModelFolder,
    model: Any,
    tokenizer: Any,
    card: ModelCard,
    losses: Sequence[Mapping[str, float]],
) -> None:
    out = folder.result
    save_model(out, model, tokenizer)
    with (out / "losses.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(step)}\n" for step in losses)
    (out / "metrics.json").write_text(f"{json.dumps(card.metrics, indent=2)}\n", encoding="utf-8")
    (out / "README.md").write_text(card.text(), encoding="utf-8")
