"""In which precision a model is trained.

                   GPU with bfloat16                             any other device
all weights        float32, computed with in bfloat16            float32
LoRA               base as it is, adapters float32,              float32
                   computed with in bfloat16

An update of AdamW is about a learning rate in size. A bfloat16 weight has 8 significant bits: at
1e-5 nine weights in ten would round back to where they were, so the weights that are trained are
float32. A base that is not trained may keep what its checkpoint has.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from w2stree.errors import InvalidInput
from w2stree.training.models import best_device


@dataclass(frozen=True, slots=True)
class Precision:
    """`weights`: what a model's weights are cast to before they are trained. `is_autocast`:
    whether products are computed in bfloat16 while the weights stay what they are."""

    weights: torch.dtype
    is_autocast: bool

    def autocast(self) -> AbstractContextManager[Any]:
        """The context that a forward pass runs in."""
        if self.is_autocast:
            return torch.autocast(best_device(), torch.bfloat16)
        return nullcontext()


def precision_of(checkpoint: torch.dtype, *, lora: bool, bfloat16: bool) -> Precision:
    """The table above. `bfloat16`: whether this is a GPU that computes with it.

    float16 is never computed with: its range needs loss scaling, and a card without bfloat16 has
    float32 to be right with.
    """
    return Precision(checkpoint if lora and bfloat16 else torch.float32, bfloat16)


def training_precision(model: Any, *, lora: bool) -> Precision:
    """`precision_of` this model on this machine."""
    return precision_of(model.dtype, lora=lora, bfloat16=has_bfloat16())


def has_bfloat16() -> bool:
    """Whether the device that models act on computes with it."""
    return best_device() == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def refuse_other_precision(accelerator: Any, args: Any) -> None:
    """Raises `InvalidInput` where a launcher's options, its file or the environment have a trainer
    compute in another precision than its arguments say: accelerate would, without a word."""
    precision = "fp16" if args.fp16 else "bf16" if args.bf16 else "no"
    if accelerator.mixed_precision != precision:
        raise InvalidInput(
            f"the launcher asks for mixed_precision {accelerator.mixed_precision}, the training "
            f"for {precision}: leave it out of the launcher's options, its file and "
            "ACCELERATE_MIXED_PRECISION"
        )
