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
from w2stree.experiment.methods import sft
from w2stree.experiment.methods.method import Method
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.continuations import measured_contrasts
from w2stree.experiment.stages.plain_search import searched
from w2stree.experiment.stages.recombine import recombined
from w2stree.experiment.stages.replayed_masks import read_masks
from w2stree.experiment.stages.untrained import untrained_model
from w2stree.training.adapters import base_of, is_adapters
from w2stree.training.fitting import ModelSource
from w2stree.training.models import load_model
from w2stree.turns.template import is_file_name

EXPLORED_KEYS = ("num_trajectories",)
"""What reads the explored runs reads of the configuration (`Context.explored_runs`)."""


@dataclass(frozen=True, slots=True)
class Input:
    """The stages whose results are read, what opens them, folders outside the run, and the
    configuration's keys that opening reads."""

    stages: tuple[str, ...]
    open: Callable[[Context], Any]
    external: tuple[Path, ...] = ()
    reads: tuple[str, ...] = ()


def inputs_of(config: Config) -> dict[str, Input]:
    """Every input by name; the model that a method trains is an input under the method's name.

    Models are opened when they are called for (`ModelSource`), the rest at once.
    """
    return {
        "demonstrations": _trajectories_of("demonstrations"),
        "ceiling_demonstrations": _trajectories_of("ceiling_demonstrations"),
        "explored": Input(("explore",), Context.explored_runs, reads=EXPLORED_KEYS),
        "strong_explored": _trajectories_of("explore_strong"),
        "strong_on_demonstrated": _trajectories_of("explore_demonstrated"),
        "forest": Input(("explore", "tree"), Context.forest, reads=EXPLORED_KEYS),
        "replayed_masks": Input(("replayed_masks",), read_masks),
        "best_paths": Input(("tree",), Context.best_paths),
        "recombined": Input(("recombine",), recombined),
        "searched": Input(("plain_search",), searched),
        "continuations": Input(
            ("explore", "tree", "continuations"), measured_contrasts, reads=EXPLORED_KEYS
        ),
        "weak_start": Input(
            ("tokenizer",),
            functools.partial(_untrained, "weak", sft.WEAK.name),
            outside(config.weak),
            (*model_keys("weak"), f"seeds.{sft.WEAK.name}"),
        ),
        "strong_start": _strong_start(config),
        **{
            m.name: Input((m.name,), functools.partial(_model, m.name))
            for m in config.methods()
            if m.train is not None
        },
    }


def inputs_for(method: Method, config: Config) -> dict[str, Input]:
    """The inputs of a method, by argument; `InvalidInput` where this configuration has none."""
    known = inputs_of(config)
    needs = dict(method.needs)
    if method.needs_too is not None:
        needs.update(method.needs_too(config.settings(method)))
    for need in needs.values():
        if need not in known:
            raise InvalidInput(
                f"{method.name} learns from {need!r}, which this configuration does not make; "
                f"it makes {', '.join(known)}"
            )
    return {argument: known[need] for argument, need in needs.items()}


def model_keys(role: str) -> tuple[str, ...]:
    """All that says what a model is before it is trained here: its section but how it is trained
    and served."""
    keys = (key for key in ModelSection.model_fields if key not in ("sft", "served"))
    return tuple(f"{role}.{key}" for key in keys)


def outside(section: ModelSection) -> tuple[Path, ...]:
    """The folder of a model that is not made in the run, the one that its adapters lie on, and the
    file of its chat template."""
    if section.path is None:
        return ()
    base = (base_of(section.path),) if is_adapters(section.path) else ()
    template = section.chat_template
    files = (Path(template),) if template is not None and is_file_name(template) else ()
    return (section.path, *base, *files)


def _trajectories_of(stage: str) -> Input:
    return Input((stage,), functools.partial(_trajectories, stage))


def _trajectories(stage: str, context: Context) -> Any:
    return context.trajectories(stage)


def _model(stage: str, context: Context) -> ModelSource:
    return functools.partial(load_model, context.model_dir(stage))


def _untrained(role: str, stage: str, context: Context) -> ModelSource:
    return functools.partial(untrained_model, context, role, stage)


def _strong_start(config: Config) -> Input:
    stages, external = ("tokenizer", "pretrain"), outside(config.strong)
    if config.strong.pretrain:
        return Input(stages, functools.partial(_model, "pretrain"), external)
    untrained = functools.partial(_untrained, "strong", sft.STRONG.name)
    return Input(stages, untrained, external, (*model_keys("strong"), f"seeds.{sft.STRONG.name}"))
