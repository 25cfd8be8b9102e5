"""A run's models as they play: in process, or at the server of their section.

weak: {path: …, served: {base_url: …}}     sft_weak/model (adapters) ──load──> plays by name
strong: {path: …}                          sft_strong/model ──> plays in this process
"""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from w2stree.experiment.config.model import ModelSection
from w2stree.experiment.config.policy import ServedSection
from w2stree.experiment.hashes import hash_files
from w2stree.experiment.methods import sft
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.untrained import untrained_model
from w2stree.policies.protocol import ModelName
from w2stree.policies.transformers import TransformersPolicy
from w2stree.training.models import best_device, load_model


def role_of(model_stage: str) -> str:
    """Whose model a stage trains: all but the weak model's own fine-tuning train the strong one."""
    return "weak" if model_stage == sft.WEAK.name else "strong"


class Players:
    """The policies of one stage, each made when it is first asked for: few explorations have the
    base model play. Closing it unloads what a server was told to load."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loaded = ExitStack()
        self._policies: dict[str, Any] = {}

    def trained(self, model_stage: str) -> Any:
        """The policy of the model that a stage trained."""
        if model_stage not in self._policies:
            self._policies[model_stage] = self._trained(model_stage)
        return self._policies[model_stage]

    def of(self, role: str, name: ModelName) -> Any:
        """The policy of the weak or the strong model, fine-tuned or as it was before that."""
        tuned = (sft.WEAK if role == "weak" else sft.STRONG).name
        if name == "tuned":
            return self.trained(tuned)
        key = f"{role}/{name}"
        if key not in self._policies:
            self._policies[key] = self._untrained(role, tuned)
        return self._policies[key]

    @property
    def num_generated_tokens(self) -> int:
        """Of all of them."""
        return sum(policy.num_generated_tokens for policy in self._policies.values())

    def close(self) -> None:
        self._loaded.close()

    def _trained(self, model_stage: str) -> Any:
        folder = self._context.model_dir(model_stage)
        decoding = self._context.config.decoding
        served: ServedSection | None = getattr(self._context.config, role_of(model_stage)).served
        if served is None:
            return TransformersPolicy(*load_model(folder), decoding=decoding)
        name = _name(folder)
        self._loaded.enter_context(served.loaded(folder, name))
        return served.policy(name, folder, decoding)

    def _untrained(self, role: str, tuned: str) -> Any:
        section: ModelSection = getattr(self._context.config, role)
        decoding = self._context.config.decoding
        if role == "strong" and self._context.config.strong.pretrain is not None:
            model, tokenizer = load_model(self._context.model_dir("pretrain"))
            return TransformersPolicy(model, tokenizer, decoding=decoding)
        if section.served is None:
            model, tokenizer = untrained_model(self._context, role, tuned)
            return TransformersPolicy(model.to(best_device()), tokenizer, decoding=decoding)
        assert section.path is not None
        return section.served.policy(
            section.served.model,
            section.path,
            decoding,
            chat_template=section.chat_template,
            template_arguments=section.template_arguments,
        )


def _name(folder: Path) -> str:
    """What a server calls a model here: another name for other weights."""
    digest = hashlib.sha256(json.dumps(hash_files(folder)).encode("utf-8")).hexdigest()
    return f"w2stree-{digest[:16]}"
