"""A key/value cache for episodes that advance together.

    row 0  [ prompt ░░░ ][ turn ][ observation ░ ][ tu
    row 1  [ prompt     ][ turn ░][ observation  ][ tu      ░ = hole, masked out
           columns are shared and only grow; positions count a row's real tokens

Each call appends one rectangle; a row with fewer tokens leaves holes on its right. The
prefix of a conversation is thus computed once, whatever the turns' lengths. Between turns the
holes are closed: attention reads every column of every row for every token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """A DynamicLayer that doubles its storage instead of copying itself at every token."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._storage = (key_states[:, :, :0], value_states[:, :, :0])
            self.keys, self.values = self._storage
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        if end > self._storage[0].shape[-2]:
            self._storage = (_grown(self.keys, end), _grown(self.values, end))
        for storage, new in zip(self._storage, (key_states, value_states), strict=True):
            storage[:, :, start:end] = new
        self.keys, self.values = (storage[:, :, :end] for storage in self._storage)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._storage = (self.keys, self.values)

    def gather_columns(self, columns: torch.Tensor) -> None:
        """Keep these columns (rows, kept) of each row, in this order."""
        rows = torch.arange(len(columns), device=columns.device)[:, None]
        # (rows, kept, heads, width) -> (rows, heads, kept, width)
        self._storage = (
            self.keys[rows, :, columns].transpose(1, 2).contiguous(),
            self.values[rows, :, columns].transpose(1, 2).contiguous(),
        )
        self.keys, self.values = self._storage


def _grown(states: torch.Tensor, needed: int) -> torch.Tensor:
    batch, heads, used, width = states.shape
    storage = states.new_empty(batch, heads, max(needed, 2 * used), width)
    storage[:, :, :used] = states
    return storage


class LockstepCache:
    """The cached rows of a set of episodes, and how to extend them."""

    def __init__(self, model: Any, keys: Sequence[int]) -> None:
        self.keys = list(keys)
        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._cache.layers = [
            GrowingLayer() if type(layer) is DynamicLayer else layer for layer in self._cache.layers
        ]
        device = model.device
        self._mask = torch.zeros(len(self.keys), 0, dtype=torch.long, device=device)
        self._length = torch.zeros(len(self.keys), dtype=torch.long, device=device)

    def select(self, keys: Sequence[int]) -> None:
        """Keep only these rows, in this order."""
        if list(keys) != self.keys:
            row = {key: i for i, key in enumerate(self.keys)}
            index = torch.tensor([row[key] for key in keys], device=self._mask.device)
            self._cache.batch_select_indices(index)
            self._mask, self._length = self._mask[index], self._length[index]
            self.keys = list(keys)
        is_empty = self._mask.shape[1] == 0  # no turn so far had a token to sample
        if not is_empty and all(isinstance(layer, GrowingLayer) for layer in self._cache.layers):
            self._close_holes()

    def _close_holes(self) -> None:
        """Move every row's real tokens to the left; their order and positions stay."""
        width = int(self._length.max())
        # A stable sort puts real columns first, in order; a shorter row keeps holes at its end.
        columns = self._mask.argsort(dim=1, descending=True, stable=True)[:, :width]
        for layer in self._cache.layers:
            layer.gather_columns(columns)
        self._mask = self._mask.gather(1, columns)

    @torch.inference_mode()
    def extend(self, chunks: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append a chunk of ids a row; logits (rows, vocabulary) after each row's last token.

        An empty chunk adds a hole, and that row's logits mean nothing.
        """
        width = max(len(chunk) for chunk in chunks)
        ids = torch.zeros(len(chunks), width, dtype=torch.long)
        mask = torch.zeros(len(chunks), width, dtype=torch.long)
        for i, chunk in enumerate(chunks):
            ids[i, : len(chunk)] = torch.tensor(chunk, dtype=torch.long)
            mask[i, : len(chunk)] = 1
        ids, mask = ids.to(self._mask.device), mask.to(self._mask.device)
        self._mask = torch.cat([self._mask, mask], dim=1)
        position = (self._length[:, None] + mask.cumsum(dim=1) - 1).clamp(min=0)
        self._length = self._length + mask.sum(dim=1)
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        # The columns any row ends on: the vocabulary projection is the widest layer of all.
        columns, where = torch.unique(last, return_inverse=True)
        logits: torch.Tensor = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=position,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=columns,
        ).logits
        return logits[torch.arange(len(chunks), device=logits.device), where].float()
