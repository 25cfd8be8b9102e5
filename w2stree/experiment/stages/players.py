"""A run's models as they play: in process, or at the server of their section.

weak: {path: …, served: {base_url: …}}     sft_weak/model (adapters) ──load──> plays by name
strong: {path: …}                          sft_strong/model ──> plays in this process
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from w2stree.experiment.config.model import ModelSection
from w2stree.experiment.config.policy import ServedSection
from w2stree.experiment.hashes import hash_files
from w2stree.experiment.methods import sft
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.makers import Maker, in_process
from w2stree.experiment.stages.untrained import untrained_of
from w2stree.policies.protocol import ModelName
from w2stree.training.models import load_model


def role_of(model_stage: str) -> str:
    """Whose model a stage trains: all but the weak model's own fine-tuning train the strong one."""
    return "weak" if model_stage == sft.WEAK.name else "strong"


class Players:
    """The policies of one stage, each made when it is first asked for: few explorations have the
    base model play. Closing it unloads what a server was told to load."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loaded = ExitStack()
        self._makers: dict[str, Maker] = {}
        self._policies: dict[str, Any] = {}

    def of(self, role: str, name: ModelName) -> Any:
        """The policy of the weak or the strong model, fine-tuned or as it was before that."""
        key = f"{role}/{name}"
        if key not in self._policies:
            self._policies[key] = self.maker(role, name)()
        return self._policies[key]

    def maker(self, role: str, name: ModelName) -> Maker:
        """What makes `of`, on other machines too."""
        return self.trained(_tuned(role)) if name == "tuned" else self._untrained(role)

    def trained(self, model_stage: str) -> Maker:
        """What makes the policy of the model that a stage trained."""
        if model_stage not in self._makers:
            self._makers[model_stage] = self._of_trained(model_stage)
        return self._makers[model_stage]

    @property
    def num_generated_tokens(self) -> int:
        """Of all that `of` has given."""
        return sum(policy.num_generated_tokens for policy in self._policies.values())

    def close(self) -> None:
        self._loaded.close()

    def _of_trained(self, model_stage: str) -> Maker:
        context = self._context
        folder, decoding = context.model_dir(model_stage), context.config.decoding
        served: ServedSection | None = getattr(context.config, role_of(model_stage)).served
        if served is None:
            return self._in_process(functools.partial(load_model, folder), folder.parent)
        name = _name(folder)
        self._loaded.enter_context(served.loaded(folder, name))
        make = functools.partial(served.policy, name, folder, decoding)
        return Maker(make, (folder.parent,))

    def _untrained(self, role: str) -> Maker:
        context = self._context
        section: ModelSection = getattr(context.config, role)
        if role == "strong" and context.config.strong.pretrain is not None:
            folder = context.model_dir("pretrain")
            return self._in_process(functools.partial(load_model, folder), folder.parent)
        if section.served is None:
            load = untrained_of(context, role, _tuned(role))
            read = (context.folder("tokenizer"),) if section.path is None else ()
            return self._in_process(load, *read)
        assert section.path is not None
        make = functools.partial(
            section.served.policy,
            section.served.model,
            section.path,
            context.config.decoding,
            chat_template=section.chat_template,
            template_arguments=section.template_arguments,
        )
        return Maker(make)

    def _in_process(self, load: Callable[[], tuple[Any, Any]], *stages: Path) -> Maker:
        config = self._context.config
        make = functools.partial(in_process, load, config.decoding, config.num_threads)
        return Maker(make, stages, is_in_process=True)


def _tuned(role: str) -> str:
    """The stage of a model's own fine-tuning."""
    return (sft.WEAK if role == "weak" else sft.STRONG).name


def _name(folder: Path) -> str:
    """What a server calls a model here: another name for other weights."""
    digest = hashlib.sha256(json.dumps(hash_files(folder)).encode("utf-8")).hexdigest()
    return f"w2stree-{digest[:16]}"
