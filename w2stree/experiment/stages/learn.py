"""Stages that make models: the tokenizer, pretraining, and whatever a method trains."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from w2stree.experiment.methods.method import Method
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.inputs import Input
from w2stree.experiment.stages.untrained import untrained_model
from w2stree.training.fitting import Fitting, Trained
from w2stree.training.models import save_model, train_tokenizer
from w2stree.training.trackers import Reporting, now

REFERENCE_CACHE = ".references"
"""Of the run, beside its stages: what references said of rows (`reference_scores`)."""
CURVES = ".curves"
"""Likewise: what trackers write to files. In a stage's folder they would be results of its."""


def tokenizer(context: Context, out: StageWriter, seen: Sequence[str]) -> None:
    """The small models' tokenizer, from the texts they may see: what the stages `seen` played."""
    trajectories = [t for stage in seen for t in context.trajectories(stage)]
    texts = [m.content for t in trajectories for m in t.prompt]
    texts += [text for t in trajectories for s in t.steps for text in (s.response, s.observation)]
    trained = train_tokenizer(texts, **context.config.tokenizer.model_dump())
    trained.save_pretrained(out.folder / "model")
    out.metrics["vocab_size"] = len(trained)


def pretrain(context: Context, out: StageWriter) -> None:
    """The strong model's latent ability: next-token prediction on random play."""
    section = context.config.strong.pretrain
    assert section is not None
    start = untrained_model(context, "strong", "pretrain")
    played = context.trajectories("random_play")
    with _fitting(context, out, "pretrain") as fitting:
        trained = fitting.sft(start, played, section.optimisation, all_tokens=True)
    _save(out, trained)


def train(context: Context, out: StageWriter, method: Method, inputs: Mapping[str, Input]) -> None:
    """A method's model, from the inputs that the method names, by argument (`inputs_for`)."""
    assert method.train is not None
    given = {argument: source.open(context) for argument, source in inputs.items()}
    with _fitting(context, out, method.name) as fitting:
        trained = method.train(**given, section=context.config.settings(method), fitting=fitting)
    _save(out, trained)


@contextmanager
def _fitting(context: Context, out: StageWriter, stage: str) -> Iterator[Fitting]:
    """With a bar of the trainer's steps."""
    with context.bar.steps(f"{stage} steps") as update:
        yield Fitting(
            max_length=context.config.max_length,
            seed=context.seed(stage),
            output_dir=out.folder / "trainer",
            progress=update,
            success_threshold=context.config.evaluate.success_threshold,
            reference_cache=context.run_dir / REFERENCE_CACHE,
            launch=context.config.launch,
            reporting=_reporting(context, stage),
        )


def _reporting(context: Context, stage: str) -> Reporting:
    """By the run, the stage, its seed and the time: one that begins anew is another curve."""
    words = (context.name, stage, f"seed-{context.config.seed_of(stage)}", now())
    directory = (context.run_dir / CURVES).absolute()
    return Reporting(context.config.report_to, ".".join(words), str(directory))


def _save(out: StageWriter, trained: Trained) -> None:
    """The model, what was logged of each training step (`losses.jsonl`), and the figures."""
    save_model(out.folder / "model", trained.model, trained.tokenizer)
    with (out.folder / "losses.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(step)}\n" for step in trained.steps)
    out.metrics.update(trained.metrics, num_parameters=trained.model.num_parameters())


def use_threads(num_threads: int) -> None:
    """Torch's thread count for all stages; more than the cores halves the speed or worse."""
    torch.set_num_threads(num_threads)
