"""How a model attends to packs: the backends, the rule between them, and the way into the model.

A backend that is not made of masks needs the model's attention layers to call it: within
`tree_attention` they do, and call SDPA as ever in passes without a pack (an evaluation that
generates, say). Afterwards the model has its own attention again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from w2stree.errors import InvalidInput
from w2stree.training.trees.attention import dense, flex, gather, varlen
from w2stree.training.trees.head import plain

BACKENDS = ("auto", "dense", "gather", "varlen", "flex")

_TREE = "w2stree_tree"


@contextmanager
def tree_attention(model: Any) -> Iterator[None]:
    """Within, the model's attention takes packs by every backend; afterwards it is its own again.

    Forward passes and their backward passes belong inside: gradient checkpointing attends again.
    """
    inner = plain(model)
    before = implementation(inner)
    if before != "eager":  # which all models have, and some (capped logits) have alone
        by_sdpa = _TREE if inner._supports_attention_backend else "sdpa"
        _set(inner, by_sdpa if inner._supports_sdpa else "eager")
    try:
        yield
    finally:
        _set(inner, before)


def forward_arguments(model: Any, pack: Any, backend: str = "auto") -> dict[str, Any]:
    """What a forward pass over the pack needs beside its tokens and positions.

    backend   taken by `auto`                                          memory of N nodes
    dense     for up to four blocks, and where attention is eager      N² bytes a mask
    gather    else (within `tree_attention`)                           block and path, by N
    varlen    never: CUDA only, and not run there yet                  the sum of the paths
    flex      never: CUDA only, and not run there yet                  (N / 128)²

    Raises `InvalidInput` for a backend that the model's attention cannot take, and for another
    name.
    """
    inner = plain(model)
    attention = implementation(inner)
    if backend not in BACKENDS:
        raise InvalidInput(f"attention {backend!r} is none of {', '.join(BACKENDS)}")
    if backend not in ("auto", "dense") and not can_gather(inner):
        raise InvalidInput(
            f"{type(inner).__name__} with {attention} attention takes no {backend}: it must be "
            "within `tree_attention`, loaded with attn_implementation='sdpa'; 'dense' works"
        )
    if backend in ("varlen", "flex") and pack.token.device.type != "cuda":
        raise InvalidInput(f"{backend} attention needs a CUDA GPU; 'gather' works anywhere")
    if attention not in ("eager", "sdpa", _TREE):
        raise InvalidInput(f"{attention} attention takes no packs; enter `tree_attention` first")
    position, end = pack.position, pack.end
    is_large = len(position) > 4 * gather.block_size(position.device)
    match backend:
        case "varlen":
            return varlen.arguments(inner, position)
        case "flex":
            return flex.arguments(inner, position, end)
        case "gather":
            return gather.arguments(inner, position, end)
        case "auto" if is_large and can_gather(inner):
            return gather.arguments(inner, position, end)
    return dense.arguments(inner, position, end)


def can_gather(model: Any) -> bool:
    """Whether the model's attention layers call the backends here."""
    return implementation(plain(model)) == _TREE


def implementation(model: Any) -> str:
    """The attention that a plain model's text layers call."""
    found: str = model.config.get_text_config()._attn_implementation
    return found


def _set(model: Any, attention: str) -> None:
    if implementation(model) != attention:
        model.set_attn_implementation(attention)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    tree_attention: Any = None,
    **options: Any,
) -> Any:
    if tree_attention is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    unknown = [o for o in ("softcap", "s_aux", "position_bias") if options.get(o) is not None]
    if unknown or options.get("dropout"):
        raise InvalidInput(
            f"{type(module).__name__} attends with {', '.join(unknown) or 'dropout'}, which gather "
            "does not compute"
        )
    query, key, value = _of_one_type(query, key, value)
    found = tree_attention.attend(query, key, value, attention_mask, **options)
    return found.transpose(1, 2).contiguous(), None


def _of_one_type(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """As SDPA under autocast takes them."""
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    return [t.to(torch.get_autocast_dtype(device)) for t in tensors]


AttentionInterface.register(_TREE, _attend)
AttentionMaskInterface.register(_TREE, sdpa_mask)
