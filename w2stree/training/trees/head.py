"""Log-probabilities through a model's own head, at the places that are needed.

    hidden states    h h h h h h h h       of the packed tokens, one pass of the layers
    origins            h   h     h h       those that a scored token is predicted from
    to the head        [h h] [h h]         in tiles where rows times vocabulary is large

Of a vocabulary of 152,000 the logits of 4,000 tokens are 2.4 GB in float32, and a loss makes four
copies of them. A tile is computed, read and forgotten, and computed again in the backward pass.

The head is what the model's class does after its layers, whatever that is: its `forward` is run
with the layers' output given. Scaled and capped logits are thus the model's own, and no family is
known here. All of it happens inside one call of the model as it is wrapped (DDP, FSDP, PEFT).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from torch.utils.checkpoint import checkpoint
from transformers.utils import ModelOutput

from w2stree.errors import InvalidInput

MAX_LOGITS = 1 << 26
"""Logits in memory at a time: 256 MiB in float32, of which a loss makes four copies."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is asked of a model's head: tokens, each after one of the hidden states `origins`.

    origins   2 5 9
    first     0 2 3 7       tokens 0 and 1 come after node 2, token 2 after node 5, …
    """

    origins: torch.Tensor
    """`[num_origins]` ascending: indices of packed tokens (of a batch's, row after row)."""
    origin: torch.Tensor
    """`[num_scored]` ascending: which of `origins` a token comes after."""
    token: torch.Tensor
    """`[num_scored]`"""
    first: list[int]
    """`[num_origins + 1]` where the tokens after each of `origins` begin."""


@dataclass
class Found(ModelOutput):  # type: ignore[misc]
    """By token of `Wanted`; a `ModelOutput`, since that is what wrappers of models look into."""

    logprob: torch.Tensor | None = None
    is_top1: torch.Tensor | None = None
    """Whether no other token is likelier; without gradient."""
    entropy: torch.Tensor | None = None
    """Of the distribution that the token is drawn from, in nats; without gradient."""


def through_the_head(
    model: Any, wanted: Wanted, *, max_logits: int = MAX_LOGITS, **arguments: Any
) -> Found:
    """One call of `model(**arguments)`; differentiable in `logprob`.

    Raises `InvalidInput` for a model whose logits are no function of its layers' last hidden
    states.
    """
    inner = plain(model)
    own = inner.forward

    def forward(*args: Any, **kwargs: Any) -> Found:
        return _tiled(inner, own, wanted, max_logits, *args, **kwargs)

    with _replaced(inner, forward):
        found: Found = model(use_cache=False, **arguments)
    return found


def plain(model: Any) -> Any:
    """The causal LM within what wraps it: DDP, FSDP, `torch.compile`, PEFT."""
    model = extract_model_from_parallel(model, keep_torch_compile=False)
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _tiled(
    inner: Any,
    own: Callable[..., Any],
    wanted: Wanted,
    max_logits: int,
    *args: Any,
    **kwargs: Any,
) -> Found:
    size = max(1, max_logits // int(inner.config.get_text_config().vocab_size))
    num_origins = len(wanted.origins)
    if num_origins <= size:
        with _layers_give(inner, lambda hidden: _rows(hidden)[None, wanted.origins]):
            logits = own(*args, **kwargs).logits
        return _read(_checked(inner, logits, num_origins), wanted.origin, wanted.token)
    kept: list[torch.Tensor] = []

    def keep(hidden: torch.Tensor) -> torch.Tensor:
        kept.append(_rows(hidden)[wanted.origins])
        return hidden[:1, :1]

    with _layers_give(inner, keep) as answer:
        own(*args, **kwargs)
    if not kept:
        raise _other_head(inner, "its base model is not called")
    tiles = [
        _tile(inner, own, answer[0], kept[0][begin : begin + size], wanted, begin)
        for begin in range(0, num_origins, size)
    ]
    names = ("logprob", "is_top1", "entropy")
    return Found(*(torch.cat([getattr(tile, name) for tile in tiles]) for name in names))


def _tile(
    inner: Any,
    own: Callable[..., Any],
    answer: type[ModelOutput],
    hidden: torch.Tensor,
    wanted: Wanted,
    begin: int,
) -> Found:
    """Of the origins from `begin` on, whose states `hidden` the layers give in an `answer`."""
    tokens = slice(wanted.first[begin], wanted.first[begin + len(hidden)])
    origin, token = wanted.origin[tokens] - begin, wanted.token[tokens]
    figures: list[Found] = []

    def logprob_of(hidden: torch.Tensor) -> torch.Tensor:
        with _replaced(_layers(inner), _answering(answer(last_hidden_state=hidden[None]))):
            logits = own(input_ids=token[None, :1], use_cache=False).logits
        is_again = bool(figures)  # for the gradient
        read = _read(_checked(inner, logits, len(hidden)), origin, token, figures=not is_again)
        if not is_again:
            figures.append(Found(None, read.is_top1, read.entropy))
        return read.logprob  # type: ignore[return-value]

    if torch.is_grad_enabled():
        logprob = checkpoint(logprob_of, hidden, use_reentrant=False)
    else:
        logprob = logprob_of(hidden)
    return Found(logprob, figures[0].is_top1, figures[0].entropy)


def _read(
    logits: torch.Tensor, origin: torch.Tensor, token: torch.Tensor, *, figures: bool = True
) -> Found:
    is_half = logits.dtype in (torch.bfloat16, torch.float16)
    logprobs = (logits.float() if is_half else logits).log_softmax(-1)
    logprob = logprobs[origin, token]
    if not figures:
        return Found(logprob)
    with torch.no_grad():
        is_top1 = logprob >= logprobs.amax(-1)[origin]
        finite = logprobs.clamp_min(-1e4)  # a word that cannot come adds 0, not 0 times -inf
        entropy = -torch.einsum("ov,ov->o", logprobs.exp(), finite)[origin]
    return Found(logprob, is_top1, entropy)


def _rows(hidden: torch.Tensor) -> torch.Tensor:
    return hidden.flatten(0, 1)


def _layers(inner: Any) -> Any:
    """What gives the last hidden states; OPT's base model holds it, and is not called."""
    layers = inner.get_decoder() if hasattr(inner, "get_decoder") else None
    if layers is None or layers is inner:
        raise _other_head(inner, "it names no base model")
    return layers


def _answering(output: ModelOutput) -> Callable[..., ModelOutput]:
    return lambda *args, **kwargs: output


@contextmanager
def _layers_give(
    inner: Any, chosen: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[list[type[ModelOutput]]]:
    """Within, the head is given `chosen` hidden states of the layers' last ones; filled with what
    they are given in."""
    answers: list[type[ModelOutput]] = []

    def choose(module: Any, given: Any, output: Any) -> Any:
        if not isinstance(output, ModelOutput) or output.get("last_hidden_state") is None:
            raise _other_head(inner, f"its layers give {type(output).__name__}")
        answers.append(type(output))
        output.last_hidden_state = chosen(output.last_hidden_state)
        return output

    hook = _layers(inner).register_forward_hook(choose)
    try:
        yield answers
    finally:
        hook.remove()


@contextmanager
def _replaced(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    """Within, `module` has this `forward`; its own (accelerate's, TRL's) is back afterwards."""
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def _checked(inner: Any, logits: torch.Tensor, num_origins: int) -> torch.Tensor:
    if logits.shape[:2] != (1, num_origins):
        raise _other_head(inner, f"logits are {tuple(logits.shape)}, not (1, {num_origins}, …)")
    return logits[0]


def _other_head(inner: Any, why: str) -> InvalidInput:
    return InvalidInput(
        f"{type(inner).__name__} cannot be trained on trees: its logits are not its head's over "
        f"its last hidden states ({why})"
    )
