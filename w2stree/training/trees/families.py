"""Models whose tokens depend on more than their own sequence's tokens and positions.

Packed, such a model would train on other probabilities than it plays with, or on a loss that is not
the sequences' own. What cannot be shared is found in the model's parts and configuration, whatever
its name is; models that no list knows are asked by `probe`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch

from w2stree.training.trees.head import plain

_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
_RECURRENT = re.compile(
    r"Mamba|Recurrent|RWKV|Rwkv|LSTM|DeltaNet|DeltaRule|ShortConv|LinearAttention|SSM|Lightning|KDA"
)


def why_unshared(model: Any, longest: int | None = None) -> str | None:
    """One sentence saying why the model cannot be trained on trees, or None if it can.

    `longest`: tokens of the longest sequence; None if unknown. O(modules).
    """
    inner = plain(model)
    for reason in _REASONS:
        if found := reason(model, inner, longest):
            return f"{type(inner).__name__} {found}"
    return None


def _several_models(model: Any, inner: Any, longest: int | None) -> str | None:
    if inner.config.is_encoder_decoder:
        return "is an encoder-decoder: its encoder sees sequences from both sides"
    if inner.config.get_text_config() is not inner.config:
        return "reads more than text, and attends to it from both sides; take its language model"
    return None


def _adapter(model: Any, inner: Any, longest: int | None) -> str | None:
    for name, config in getattr(model, "peft_config", {}).items():
        if config.is_prompt_learning:
            return f"has the adapter {name!r}, which puts its own tokens before every batch"
    return None


def _recurrence(model: Any, inner: Any, longest: int | None) -> str | None:
    if kinds := set(getattr(inner.config, "layer_types", None) or ()) - _ATTENTION:
        return f"has layers that do more than attend to tokens ({', '.join(sorted(kinds))})"
    if getattr(inner.config, "index_topk", None):
        return "chooses the keys that it attends to by an indexer"
    for name, module in inner.named_modules():
        kind = type(module).__name__
        if isinstance(module, torch.nn.Conv1d | torch.nn.RNNBase) or _RECURRENT.search(kind):
            return (
                f"has recurrent or convolutional layers ({kind} at {name}): they would carry one "
                "branch's state into the next"
            )
    return None


def _positions(model: Any, inner: Any, longest: int | None) -> str | None:
    config = inner.config
    nested = getattr(config, "attn_config", None)
    if config.model_type == "bloom" or getattr(config, "alibi", getattr(nested, "alibi", False)):
        return "weighs keys by their place in the batch (ALiBi), not in their sequence"
    if "local" in (getattr(config, "attention_layers", None) or ()):
        return "cuts its local attention by places in the batch, not in the sequence"
    for name, module in inner.named_modules():
        if hasattr(module, "relative_attention_bias"):
            return f"weighs keys by their place in the batch (relative bias at {name})"
    ropes = getattr(config, "rope_parameters", None) or {}
    for rope in (ropes, *(r for r in ropes.values() if isinstance(r, dict))):
        kind = rope.get("rope_type")
        known = rope.get("original_max_position_embeddings") or config.max_position_embeddings
        if kind in ("dynamic", "longrope") and (longest is None or longest > known):
            return (
                f"turns all of a batch by its longest sequence ({kind} rope beyond {known:,} "
                "tokens); shorter sequences can be trained on trees"
            )
    return None


def _sinks(model: Any, inner: Any, longest: int | None) -> str | None:
    for name, _ in inner.named_parameters():
        if re.search(r"(^|[._])sinks?([._]|$)|attention_sink", name):
            return f"has attention sinks ({name}), which SDPA and gathered attention leave out"
    return None


def _dropout(model: Any, inner: Any, longest: int | None) -> str | None:
    for name, p in _dropped(inner):
        return (
            f"has dropout ({name} is {p:g}): tokens that sequences share would share one mask; set "
            "it to 0"
        )
    return None


def _dropped(inner: Any) -> Iterator[tuple[str, float]]:
    """What is dropped by modules, by what they pass to functions, and by the configuration where
    a forward pass reads it (what a module has taken from it may be another number by now)."""
    for name, module in inner.named_modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            numbers = {name: module.p}
        else:
            own = vars(module).items()
            numbers = {f"{name}.{n}": v for n, v in own if re.search("drop|jitter", n)}
        yield from _positive(numbers)
    read = "".join(_source(kind) for kind in {type(module) for module in inner.modules()})
    named = [n for n in inner.config.to_dict() if re.search("drop|jitter", n)]
    yield from _positive({n: getattr(inner.config, n) for n in named if f"config.{n}" in read})


def _source(module: Any) -> str:
    try:
        return inspect.getsource(module.forward)
    except (OSError, TypeError):  # made at run time
        return ""


def _positive(numbers: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in numbers.items():
        if isinstance(value, float | int) and not isinstance(value, bool) and value > 0:
            yield name, value


def _experts(model: Any, inner: Any, longest: int | None) -> str | None:
    if getattr(inner.config, "output_router_logits", False):
        return (
            "balances its experts by a loss over a batch's tokens (output_router_logits), of which "
            "trees hold shared ones once; set it to false"
        )
    if getattr(inner.config, "expert_capacity", None):
        return "drops tokens beyond its experts' capacity, which other sequences use up"
    return None


_REASONS: tuple[Callable[[Any, Any, int | None], str | None], ...] = (
    _several_models,
    _adapter,
    _recurrence,
    _positions,
    _sinks,
    _dropout,
    _experts,
)
