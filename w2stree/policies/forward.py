"""One forward pass of a local model: what the model is asked, and how its episodes are cached.

layers keep keys and values, positions are told ──> rows side by side      `LockstepCache`
layers keep a state, or positions are their own ──> one episode at a time  `SeparateCaches`
neither is exact, or nothing is kept            ──> refused by name
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import (
    DummyLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
)

from w2stree.errors import InvalidInput

_SIDE_BY_SIDE = {DynamicLayer, DynamicSlidingWindowLayer, DummyLayer}
_ALONE = _SIDE_BY_SIDE | {
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
}

_ALIBI = ("bloom", "mpt")
"""Told no positions, and right without: their biases are of distances between columns."""

_COUNT_COLUMNS = (*_ALIBI, "gpt_neo")
"""By distances or windows of their own, beside those of the cache's layers."""

_OWN_STATE = {
    "minimax": "it keeps its episodes' state in a cache of its own",
    "recurrent_gemma": "it keeps the state of one episode in its layers",
    "xlstm": "it keeps its episodes' state in a cache of its own",
}


class Forward:
    """Calls the model with the arguments it takes.

    Raises `InvalidInput`, naming the model, where its cached logits would not be those of a
    whole forward pass.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._config = model.config.get_text_config(decoder=True)
        parameters = inspect.signature(_plain(model).forward).parameters
        self._takes_position = "position_ids" in parameters
        self._takes_columns = "logits_to_keep" in parameters
        self._cache_name = next((n for n in _CACHE_NAMES if n in parameters), "")
        self._layers = {type(layer) for layer in self.cache().layers}
        self._check()

    @property
    def device(self) -> torch.device:
        device: torch.device = self._model.device
        return device

    @property
    def is_side_by_side(self) -> bool:
        """Whether rows of several episodes can be read in one pass, each as if alone."""
        is_told = self._takes_position or self._config.model_type in _ALIBI
        return is_told and not self.is_step_by_step and self._layers <= _SIDE_BY_SIDE

    @property
    def counts_columns(self) -> bool:
        """Whether a hole inside a row would count as a token: in windows, chunks, distances."""
        is_windowed = DynamicSlidingWindowLayer in self._layers
        return is_windowed or self._config.model_type in _COUNT_COLUMNS

    @property
    def is_step_by_step(self) -> bool:
        """Whether what follows a first chunk is read token by token: some state-space layers
        begin a longer chunk from an empty state."""
        return bool(getattr(_plain(self._model), "_is_stateful", False))

    def cache(self) -> DynamicCache:
        """An empty cache."""
        return DynamicCache(config=self._model.config)

    @torch.inference_mode()
    def __call__(
        self,
        ids: torch.Tensor,
        cache: DynamicCache,
        *,
        position: torch.Tensor,
        mask: torch.Tensor | None,
        last: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (rows, vocabulary), float32, at the columns `last` (rows,) of ids (rows, columns).

        `position` is as `ids`; `mask` (rows, cached and new columns) is 0 at holes.
        """
        arguments: dict[str, Any] = {self._cache_name: cache}
        if mask is not None:
            arguments["attention_mask"] = mask
        if self._takes_position:
            arguments["position_ids"] = position
        if self._takes_columns:
            # The columns any row ends on: the vocabulary projection is the widest layer of all.
            arguments["logits_to_keep"], last = torch.unique(last, return_inverse=True)
        logits: torch.Tensor = self._model(input_ids=ids, use_cache=True, **arguments).logits
        return logits[torch.arange(len(ids), device=logits.device), last].float()

    def _check(self) -> None:
        name = f"{type(_plain(self._model)).__name__} ({self._config.model_type})"
        if self._model.config.is_encoder_decoder:
            raise InvalidInput(f"{name} is an encoder-decoder; give a causal language model")
        if self._config.model_type in _OWN_STATE:
            raise InvalidInput(f"{name} cannot play: {_OWN_STATE[self._config.model_type]}")
        if not self._cache_name:
            raise InvalidInput(f"{name} cannot play: it takes no cache of what it has read")
        unknown = self._layers - _ALONE
        if unknown:
            layers = ", ".join(sorted(layer.__name__ for layer in unknown))
            raise InvalidInput(
                f"{name} cannot play: what its layers keep ({layers}) does not give the logits "
                "of a whole forward pass"
            )


_CACHE_NAMES = ("past_key_values", "cache_params")


def _plain(model: Any) -> Any:
    """The model itself, where an adapter is around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
