"""Adapters in a directory of their own, the model they lie on elsewhere and as it was.

    model/adapter_config.json         base_model_name_or_path: /models/Qwen2.5-14B, r, alpha, …
          adapter_model.safetensors   ….q_proj.lora_A.weight (r, in)   ….lora_B.weight (out, r)
          config.json, generation_config.json, the tokenizer

What a second training learns on top of the first lies beside it. Both are one adapter of the same
base, of as many ranks as both, so that a server that has the base needs this directory alone:

    W + s1 B1 A1 + s2 B2 A2  =  W + [s1 B1, s2 B2] [A1; A2]
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted
from w2stree.training.optimisation import Lora
from w2stree.trajectories.json_text import parse_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "trainable_token_indices": (None,),
    "target_parameters": (None, []),
}
"""Of a configuration whose adapters are the products above and nothing else."""


def is_adapters(folder: str | Path) -> bool:
    """Whether a directory has adapters, and not a model."""
    return (Path(folder) / CONFIG).is_file()


def base_of(folder: str | Path) -> Path:
    """The directory of the model that a directory's adapters lie on.

    Raises `InvalidInput` where there is none: nothing is fetched from a hub.
    """
    named = _config(Path(folder)).get("base_model_name_or_path")
    file = Path(folder) / CONFIG
    if not isinstance(named, str) or not named:
        raise InvalidInput(f"{file}: names no base_model_name_or_path: what the adapters lie on")
    if not (Path(named) / "config.json").is_file():
        raise InvalidInput(
            f"{file}: the adapters lie on {quoted(named, 200)}, which is no model directory here: "
            "write where it is now as base_model_name_or_path (nothing is fetched)"
        )
    if is_adapters(named):
        raise InvalidInput(f"{file}: the adapters lie on {named}, which has adapters, not a model")
    return Path(named)


def with_adapters(model: Any, folder: str | Path) -> Any:
    """The base with a directory's adapters merged into it, in memory.

    Its `name_or_path` is the directory, so that what is trained on it knows what it lies on.
    Raises `InvalidInput` for files that PEFT cannot read, and for adapters of other layers than
    this model's, of which PEFT would take those that fit.
    """
    from peft import PeftModel, get_peft_model_state_dict

    there = _read(Path(folder)).keys()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of absent ones, which are told below
            adapted = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise InvalidInput(f"{folder}: the adapters cannot be read ({error})") from error
    wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
    if differing := sorted(wanted ^ there):
        raise InvalidInput(
            f"{Path(folder) / WEIGHTS}: has adapters of {len(there)} weights, the model it lies on "
            f"has place for {len(wanted)}; only one of them has {differing[0]}: is it the model "
            "that they were trained on?"
        )
    merged = adapted.merge_and_unload().requires_grad_(True)  # PEFT had frozen what it lies on
    merged.name_or_path = str(folder)
    return merged


def refuse_no_base(model: Any, lora: Lora) -> None:
    """Raises `InvalidInput` where adapters are to be kept unmerged and the model lies in no
    directory, or on adapters that others cannot be laid beside."""
    if lora.merge:
        return
    start = Path(model.name_or_path)
    if not model.name_or_path or not (start / "config.json").is_file():
        raise InvalidInput(
            "lora.merge: false keeps adapters beside the model they lie on, and this one is in no "
            "directory: leave merge out"
        )
    if is_adapters(start):
        _plain_config(start)


def finished(model: Any, lora: Lora | None) -> Any:
    """What a training with `lora` returns: the model with its adapters merged, or as they are."""
    if lora is None or not lora.merge:
        return model
    return model.merge_and_unload()


def has_adapters(model: Any) -> bool:
    """Whether a model has adapters that are not merged."""
    return hasattr(model, "peft_config")


def save_adapters(folder: str | Path, model: Any) -> None:
    """Write a model's adapters and the base's configuration; the base itself stays where it is.

    Where the base was read from such a directory, its adapters and these become one.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    own = model.peft_config["default"].to_dict()
    start = Path(own["base_model_name_or_path"])
    config = {**own, "inference_mode": True}
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    if is_adapters(start):
        first = _plain_config(start)
        config = _beside_config(first, config)
        weights = _beside(_read(start), _scale(first), weights, _scale(own))
        start = base_of(start)
    config["base_model_name_or_path"] = str(start.resolve())
    text = json.dumps(config, indent=2, sort_keys=True, default=_written) + "\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")
    save_file(
        {name: w.detach().cpu().contiguous() for name, w in weights.items()}, folder / WEIGHTS
    )
    model.get_base_model().config.save_pretrained(folder)


def _beside_config(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    rank = first["r"] + second["r"]
    modules = {*_modules(first), *_modules(second)}
    return {
        **second,
        "r": rank,
        "lora_alpha": rank,  # the scales are in the weights
        "use_rslora": False,
        "target_modules": sorted(modules),
    }


def _beside(
    first: Mapping[str, Any], first_scale: float, second: Mapping[str, Any], second_scale: float
) -> dict[str, Any]:
    """Both adapters of each layer as one; a layer that only one has gets zeros for the other."""
    import torch

    layers = dict.fromkeys(_layer(name) for name in (*first, *second))
    rank = {
        id(weights): next(w.shape[0] for name, w in weights.items() if ".lora_A." in name)
        for weights in (first, second)
    }
    joined = {}
    for layer in layers:
        a, b = f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"
        there = next(weights for weights in (first, second) if a in weights)
        parts = []
        for weights, scale in ((first, first_scale), (second, second_scale)):
            if a in weights:
                parts.append((weights[a].float().cpu(), weights[b].float().cpu() * scale))
            else:
                num_rows, num_columns = there[b].shape[0], there[a].shape[1]
                ranks = rank[id(weights)]
                parts.append((torch.zeros(ranks, num_columns), torch.zeros(num_rows, ranks)))
        joined[a] = torch.cat([part for part, _ in parts], dim=0)
        joined[b] = torch.cat([part for _, part in parts], dim=1)
    return joined


def _layer(name: str) -> str:
    return name.rpartition(".lora_")[0]


def _scale(config: Mapping[str, Any]) -> float:
    rank = config["r"]
    return float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _modules(config: Mapping[str, Any]) -> list[str]:
    modules = config["target_modules"]
    return [modules] if isinstance(modules, str) else list(modules)


def _read(folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise InvalidInput(f"{folder / WEIGHTS}: cannot be read ({error})") from None


def _plain_config(folder: Path) -> dict[str, Any]:
    """Raises `InvalidInput` for adapters that are more than the two matrices of each layer."""
    config = _config(folder)
    for key, plain in _PLAIN.items():
        if key in config and config[key] not in plain:
            raise InvalidInput(
                f"{folder / CONFIG}: {key} is {config[key]!r}; adapters cannot be laid beside such "
                "ones: merge them (leave lora.merge out)"
            )
    if not isinstance(config.get("target_modules"), list):
        raise InvalidInput(
            f"{folder / CONFIG}: target_modules is no list of names; merge (leave lora.merge out)"
        )
    return config


def _config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    record = parse_json(file.read_bytes(), str(file))
    if not isinstance(record, dict):
        raise InvalidInput(f"{file}: not a configuration of adapters")
    return record


def _written(value: Any) -> Any:
    """What JSON has no form for: sets of names, and PEFT's enumerations."""
    return sorted(value) if isinstance(value, set) else str(getattr(value, "value", value))
