"""Log-probabilities of the labelled tokens alone: no logits of whole sequences.

    hidden states    h h h h h h h h
    next labels      - - - 7 2 - - 5
    to the head            h h     h    in tiles of 4,096 tokens by 8,192 words

Of a vocabulary of 152,000 the logits of 16 sequences of 2,048 tokens are 19 GiB in float32, and a
loss makes several copies of them. The tiles, and their recomputation in the backward pass, are
TRL's (`add_fused_lm_head`); off the GPU it would project every token, labelled or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import trl.trainer.utils
from trl.trainer.utils import add_fused_lm_head

from w2stree.errors import InvalidInput
from w2stree.training.rows import IGNORED

# TRL's 32,768 words a tile are half a GiB, and off the GPU a tile has half a dozen copies.
trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE = 8192

_PROBED_TOKENS = 16
_ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.5, torch.float16: 0.1}


def label_only(model: Any) -> None:
    """Has a model with TRL's fused head project its labelled tokens alone.

    `model(..., labels=, fused_lm_head=True)` gives the same fields as before.
    """
    fused = model.forward

    def forward(*args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return fused(*args, **kwargs, **({} if labels is None else {"labels": labels}))
        following = labels[:, 1:]
        is_labelled = following != IGNORED

        def keep_labelled(module: Any, given: Any, output: Any) -> Any:
            output.last_hidden_state = output.last_hidden_state[:, :-1][is_labelled][None]
            return output

        hook = model.base_model.register_forward_hook(keep_labelled)
        try:
            found = fused(
                *args, fused_lm_head=True, shift_labels=following[is_labelled][None], **kwargs
            )
        finally:
            hook.remove()
        for name in ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1"):
            if (field := getattr(found, name)) is not None:
                whole = field.new_zeros(is_labelled.shape)
                setattr(found, name, whole.masked_scatter(is_labelled, field))
        found.label_mask = is_labelled
        return found

    model.forward = forward


@contextmanager
def fused_head(model: Any) -> Iterator[None]:
    """For a while, `model` (PEFT's or a plain one) has the fused head, for labelled tokens alone.

    Raises `InvalidInput` for a model whose own logits say something else; see `check_head`.
    """
    inner = plain(model)
    with own_forward_after(inner):
        add_fused_lm_head(inner)
        label_only(inner)
        check_head(model)
        yield


@contextmanager
def own_forward_after(model: Any) -> Iterator[None]:
    """Whatever replaces the model's `forward` within, it has its former one afterwards."""
    before = vars(model).get("forward")
    try:
        yield
    finally:
        vars(model).pop("forward", None)
        if before is not None:
            model.forward = before


def plain(model: Any) -> Any:
    """The model within PEFT's, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@torch.no_grad()
def check_head(model: Any) -> None:
    """Raises `InvalidInput` unless the fused head gives what the model's own logits give.

    Models scale and cap their logits, and TRL knows the ways by the names of configuration keys: a
    way that it does not know would train on other probabilities than the model plays with. One
    short sequence is compared.
    """
    was_training = model.training
    model.eval()
    vocabulary = plain(model).get_output_embeddings().weight.shape[0]
    ids = (torch.arange(_PROBED_TOKENS, device=model.device)[None] * 7 + 1) % vocabulary
    try:
        found = model(input_ids=ids, labels=ids, fused_lm_head=True).log_probs
    except (AttributeError, TypeError) as error:
        raise InvalidInput(
            f"{type(plain(model)).__name__} cannot be trained here: its log-probabilities are not "
            f"its head's over its last hidden state ({error})"
        ) from error
    own = model(input_ids=ids).logits
    expected = torch.log_softmax(own[:, :-1].float(), dim=-1).gather(2, ids[:, 1:, None])
    model.train(was_training)
    difference = float((found - expected.squeeze(2)).abs().max())
    if not difference <= _ROUNDING.get(own.dtype, 0.5):
        raise InvalidInput(
            f"{type(plain(model)).__name__} cannot be trained here: its logits are not its head's "
            f"product in a form that TRL knows (log-probabilities are {difference:.3g} apart)"
        )
