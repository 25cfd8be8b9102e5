"""Models before any training of a run: where its training starts, and what `model: base` plays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from w2stree.experiment.config.model import ModelSection
from w2stree.experiment.stages.context import Context
from w2stree.policies.pretrained import pretrained
from w2stree.training.models import Architecture, build_model, load_model


def untrained_model(context: Context, role: str, stage: str) -> tuple[Any, Any]:
    """(model, tokenizer) of the weak or the strong model as its training finds it.

    Its directory's, or a decoder of its architecture with the run's tokenizer: the same weights
    each time, by the seed of `stage`, which trains it first.
    """
    return untrained_of(context, role, stage)()


def untrained_of(context: Context, role: str, stage: str) -> Callable[[], tuple[Any, Any]]:
    """What gives `untrained_model`, on other machines too."""
    section: ModelSection = getattr(context.config, role)
    if section.path is not None:
        return functools.partial(
            load_model, section.path, section.chat_template, section.template_arguments
        )
    assert section.architecture is not None
    tokenizer, seed = context.model_dir("tokenizer"), context.seed(role, stage=stage)
    return functools.partial(_built, section.architecture, tokenizer, seed)


def _built(architecture: Architecture, tokenizer_dir: Path, seed: int) -> tuple[Any, Any]:
    tokenizer = pretrained(AutoTokenizer, tokenizer_dir)
    return build_model(architecture, tokenizer, seed=seed), tokenizer
