"""What a model directory must have, looked at before anything is played or trained.

Only small files and the heads of the weight files are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from w2stree.errors import InvalidInput
from w2stree.policies.pretrained import pretrained
from w2stree.training.adapters import WEIGHTS, base_of, is_adapters
from w2stree.training.layers import refuse_absent_layers
from w2stree.training.models import refuse_no_model
from w2stree.training.optimisation import Optimisation
from w2stree.training.positions import num_positions
from w2stree.trajectories.json_text import parse_json

_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def check_model_directory(
    path: str | Path, *, max_length: int, optimisations: Iterable[Optimisation]
) -> None:
    """Raises `InvalidInput` where training would only fail later.

    Without `config.json`; for a model that is no causal LM; with weight files missing, torn or cut;
    with a `generation_config.json` that would not be saved again; with fewer positions than
    `max_length` tokens; without the layers that the optimisations put adapters on.
    """
    folder = Path(path)
    refuse_no_model(folder)
    if is_adapters(folder):
        _refuse_unreadable(folder / WEIGHTS)
        folder = base_of(folder)
    config = _config(folder)
    for file in _weight_files(folder):
        _refuse_unreadable(file)
    _check_generation_config(folder)
    limit = num_positions(config)
    if limit is not None and limit < max_length:
        raise InvalidInput(
            f"{folder}: the model has {limit} positions, fewer than max_length ({max_length}): "
            f"set max_length to {limit}"
        )
    check_layers(str(folder), config, optimisations)


def _config(folder: Path) -> Any:
    config = pretrained(AutoConfig, folder, file="config.json")
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise InvalidInput(
            f"{folder}: a model of type {config.model_type} is no causal LM that transformers knows"
        )
    return config


def _weight_files(folder: Path) -> Iterator[Path]:
    for name in _INDICES:
        if (folder / name).is_file():
            record = parse_json((folder / name).read_bytes(), str(folder / name))
            shards = record.get("weight_map") if isinstance(record, dict) else None
            if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
                raise InvalidInput(f"{folder / name}: has no weight_map of files")
            yield from (folder / shard for shard in sorted(set(shards.values())))
            return
    for name in _WEIGHTS:
        if (folder / name).is_file():
            yield folder / name
            return
    raise InvalidInput(f"{folder}: no weights; expected one of {', '.join(_WEIGHTS + _INDICES)}")


def _refuse_unreadable(file: Path) -> None:
    if not file.is_file():
        raise InvalidInput(f"{file}: missing, though the files beside it ask for it")
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="np"):
                pass  # it compares the head with the file's size
        except (SafetensorError, OSError) as error:
            raise InvalidInput(f"{file}: {error}; is the download complete?") from error


def _check_generation_config(folder: Path) -> None:
    """transformers refuses to save some that it loads: that would be known after the training."""
    if (folder / "generation_config.json").is_file():
        try:
            GenerationConfig.from_pretrained(folder, local_files_only=True).validate(strict=True)
        except (ValueError, TypeError, OSError) as error:
            raise InvalidInput(f"{folder}/generation_config.json: {error}") from error


def check_layers(where: str, config: Any, optimisations: Iterable[Optimisation]) -> None:
    """Raises `InvalidInput`, told of `where`, for adapters of layers that a model of this
    configuration of transformers does not have."""
    adapters = [o.lora for o in optimisations if o.lora is not None]
    if adapters:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    for lora in adapters:
        try:
            refuse_absent_layers(model, lora)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error}") from error
