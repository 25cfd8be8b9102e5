"""Which of a model's layers get adapters."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig
from torch import nn
from transformers.pytorch_utils import Conv1D

from w2stree.errors import InvalidInput
from w2stree.training.adapters import refuse_no_base
from w2stree.training.optimisation import Lora


def adapters(model: Any, lora: Lora | None) -> LoraConfig | None:
    """PEFT's configuration for this model; see `refuse_absent_layers`."""
    if lora is None:
        return None
    refuse_absent_layers(model, lora)
    refuse_no_base(model, lora)
    modules = lora.target_modules
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        task_type="CAUSAL_LM",
    )


def refuse_absent_layers(model: Any, lora: Lora) -> None:
    """Raises `InvalidInput` for a name in `target_modules` that no linear layer's name ends in.

    PEFT would say nothing as long as one name is found. The model may be on the device `meta`.
    """
    if isinstance(lora.target_modules, str):
        return
    names = _linear_layers(model)
    absent = [
        target
        for target in lora.target_modules
        if not any(name == target or name.endswith(f".{target}") for name in names)
    ]
    if absent:
        known = dict.fromkeys(name.rpartition(".")[2] for name in names)
        raise InvalidInput(
            f"lora.target_modules names {', '.join(absent)}, the model has {', '.join(known)} "
            "(or give all-linear)"
        )


def _linear_layers(model: Any) -> list[str]:
    """Names of the layers that an adapter goes on, the output layer left out."""
    output = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not output
    ]
