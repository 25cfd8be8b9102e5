"""What a method may learn from: each input by name, the stages that make it, how it is opened."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.experiment.config import Config
from w2stree.experiment.config.model import ModelSection
from w2stree.experiment.methods.method import Method
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.untrained import untrained_model
from w2stree.training.adapters import base_of, is_adapters
from w2stree.training.fitting import ModelSource
from w2stree.training.models import load_model


@dataclass(frozen=True, slots=True)
class Input:
    """The stages whose results are read, what opens them, and folders outside the run."""

    stages: tuple[str, ...]
    open: Callable[[Context], Any]
    external: tuple[Path, ...] = ()


def inputs_of(config: Config) -> dict[str, Input]:
    """Every input by name; the model that a method trains is an input under the method's name.

    Models are opened when they are called for (`ModelSource`), the rest at once.
    """
    shown = ("demonstrations", "ceiling_demonstrations")
    return {
        **{name: Input((name,), functools.partial(_trajectories, name)) for name in shown},
        "forest": Input(("explore", "tree"), Context.forest),
        "best_paths": Input(("tree",), Context.best_paths),
        "weak_start": Input(("tokenizer",), _weak_start, outside(config.weak)),
        "strong_start": Input(("tokenizer", "pretrain"), _strong_start, outside(config.strong)),
        **{
            m.name: Input((m.name,), functools.partial(_model, m.name))
            for m in config.methods()
            if m.train is not None
        },
    }


def inputs_for(method: Method, config: Config) -> dict[str, Input]:
    """The inputs of a method, by argument; `InvalidInput` where this configuration has none."""
    known = inputs_of(config)
    for need in method.needs.values():
        if need not in known:
            raise InvalidInput(
                f"{method.name} learns from {need!r}, which this configuration does not make; "
                f"it makes {', '.join(known)}"
            )
    return {argument: known[need] for argument, need in method.needs.items()}


def outside(section: ModelSection) -> tuple[Path, ...]:
    """The folder of a model that is not made in the run, and the one that its adapters lie on."""
    if section.path is None:
        return ()
    return (section.path, base_of(section.path)) if is_adapters(section.path) else (section.path,)


def _trajectories(stage: str, context: Context) -> Any:
    return context.trajectories(stage)


def _model(stage: str, context: Context) -> ModelSource:
    return functools.partial(load_model, context.model_dir(stage))


def _weak_start(context: Context) -> ModelSource:
    return functools.partial(untrained_model, context, "weak")


def _strong_start(context: Context) -> ModelSource:
    if context.config.strong.pretrain:
        return _model("pretrain", context)
    return functools.partial(untrained_model, context, "strong")
