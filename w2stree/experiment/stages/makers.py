"""How the policies of a run's models are made: here, or on another machine that has the run.

Maker ── called here ────────────────────────────────> policy
  └───── sent to a machine ── the same manifests? ───> policy there, or a refusal
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from w2stree.errors import RunDirectoryError
from w2stree.experiment.hashes import MANIFEST
from w2stree.policies.protocol import ModelName
from w2stree.policies.transformers import TransformersPolicy
from w2stree.shorten import visible
from w2stree.training.models import best_device
from w2stree.turns.decoding import Decoding


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes a policy. `stages`: the folders of the run that it reads; `is_in_process`: whether the
    policy computes where it is made; `is_model`: whether a model says its turns."""

    make: Callable[[], Any]
    stages: tuple[Path, ...] = ()
    is_in_process: bool = False
    is_model: bool = True

    def __call__(self) -> Any:
        return self.make()


@dataclass(frozen=True, slots=True)
class MakersElsewhere:
    """A `PolicyOf` for other machines: the maker of each model, and what the manifests of the
    stages hold that they read."""

    makers: Mapping[ModelName, Maker]
    manifests: Mapping[Path, str]

    @classmethod
    def of(cls, makers: Mapping[ModelName, Maker]) -> MakersElsewhere:
        stages = {stage for maker in makers.values() for stage in maker.stages}
        return cls(makers, {stage: _digest(stage) for stage in stages})

    def __call__(self, model: ModelName) -> Any:
        """Raises `RunDirectoryError` where this machine has another run under the same path, or
        none: an older model would play, and nothing would say so."""
        maker = self.makers[model]
        for stage in maker.stages:
            if _digest(stage) != self.manifests[stage]:
                raise RunDirectoryError(
                    f"{socket.gethostname()}: {visible(str(stage))} is not the driver's, whose "
                    "model is to play: give --run-dir a folder of a file system that all machines "
                    "have, under one path"
                )
        return maker()


def in_process(
    load: Callable[[], tuple[Any, Any]], decoding: Decoding, num_threads: int
) -> TransformersPolicy:
    """The policy of a model and its tokenizer, in so many threads, as all that a run computes."""
    torch.set_num_threads(num_threads)
    model, tokenizer = load()
    return TransformersPolicy(model.to(best_device()), tokenizer, decoding=decoding)


def _digest(stage: Path) -> str:
    """Of what a finished stage says of itself, its files' hashes among it; "" where none is."""
    file = stage / MANIFEST
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
