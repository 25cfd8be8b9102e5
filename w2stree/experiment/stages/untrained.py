"""Models before any training of a run: where its training starts, and what `model: base` plays."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer

from w2stree.experiment.config.model import ModelSection
from w2stree.experiment.stages.context import Context
from w2stree.policies.pretrained import pretrained
from w2stree.training.models import build_model, load_model


def untrained_model(context: Context, role: str, stage: str) -> tuple[Any, Any]:
    """(model, tokenizer) of the weak or the strong model as its training finds it.

    Its directory's, or a decoder of its architecture with the run's tokenizer: the same weights
    each time, by the seed of `stage`, which trains it first.
    """
    section: ModelSection = getattr(context.config, role)
    if section.path is not None:
        return load_model(section.path, section.chat_template, section.template_arguments)
    assert section.architecture is not None
    tokenizer = pretrained(AutoTokenizer, context.model_dir("tokenizer"))
    return build_model(
        section.architecture, tokenizer, seed=context.seed(role, stage=stage)
    ), tokenizer
