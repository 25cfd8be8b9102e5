"""What a model lets a token see along a sequence, asked of the model's own code.

A windowed model sees the last so many tokens, a chunked one its chunk, and models differ in the
tokens at the edge. transformers' `create_masks_for_generate` makes the masks that a model's forward
pass takes; given a mask maker of ours, it says which rule (a function of two positions) each kind
of layer has. On a pack the positions are depths:

    may see(q, k)  =  k is q or an ancestor of q   and   rule(depth[q], depth[k])
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from transformers.masking_utils import AttentionMaskInterface, create_masks_for_generate

from w2stree.errors import InvalidInput

Rule = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Whether a token at the first position sees the one at the second; they broadcast."""

_ASKED = "w2stree_rules"


def masks(model: Any, longest: int, make: Callable[[Rule | None], Any]) -> Any:
    """`make(rule)` as the model's forward takes it: one value, or one a kind of layer.

    The rule is None where a token sees all that comes before it: in a layer without a window, or
    whose window no sequence leaves (`longest`, in tokens).

    Raises `InvalidInput` for a model that makes its masks in another way.
    """
    config = copy.copy(model.config.get_text_config())
    config._attn_implementation_internal = _ASKED
    made: dict[int | None, Any] = {}

    def answer(mask_function: Any, local_size: int | None) -> Any:
        size = local_size if local_size is not None and local_size < longest else None
        if size not in made:
            made[size] = make(None if size is None else _rule(mask_function))
        return _Answer(made[size])

    config.w2stree_answer = answer
    ask = getattr(model, "create_masks_for_generate", create_masks_for_generate)
    found = ask(
        config=config,
        inputs_embeds=torch.empty(1, longest, 0),
        attention_mask=None,
        past_key_values=None,
        position_ids=None,
    )
    kinds = found if isinstance(found, dict) else {"": found}
    if not kinds or not all(isinstance(answer, _Answer) for answer in kinds.values()):
        raise InvalidInput(
            f"{type(model).__name__} does not say what its layers see: its masks are not those of "
            "transformers' masking_utils"
        )
    values = {kind: answer.value for kind, answer in kinds.items()}
    # A model of one kind of layer may take no dict; one that takes a dict takes a value too.
    return values if len({id(v) for v in values.values()}) > 1 else next(iter(values.values()))


class _Answer:
    """Wraps what was made, so that a mask made by somebody else is told from ours."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _rule(mask_function: Any) -> Rule:
    def rule(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros((), dtype=torch.long, device=query.device)  # of batch and head
        found: torch.Tensor = mask_function(zero, zero, query, key)
        return found

    return rule


def _answer(*, config: Any, mask_function: Any, local_size: int | None = None, **_: Any) -> Any:
    return config.w2stree_answer(mask_function, local_size)


AttentionMaskInterface.register(_ASKED, _answer)
