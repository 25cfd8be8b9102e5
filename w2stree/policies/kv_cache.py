"""A key/value cache for episodes that advance together.

    row 0  ░░░░[ prompt ][ turn ][ observation ][ tu
    row 1  [ prompt     ][ turn   ][ observation][ tu      ░ = hole, masked out
           columns are shared; positions count a row's real tokens; rows end side by side

Each call appends one rectangle; a row with fewer tokens leaves holes on its right. The prefix of
a conversation is thus computed once, whatever the turns' lengths. Holes are closed, by moving
rows to the right, between turns: attention reads every column of every row for every token. Where
columns are counted, by windows and chunks of attention and some models' biases, a row must never
have a hole inside: there they are closed before the row is read on.

All layers keep all columns: a window is the attention mask's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DummyLayer, DynamicLayer

from w2stree.policies.forward import Forward

_HEADROOM = 32
"""Columns of storage beyond those in use, when holes were closed: about a turn's."""


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
        kept = columns.shape[1]
        # What the room ahead holds is overwritten before it is read.
        columns = torch.nn.functional.pad(columns, (0, _HEADROOM))[:, None]
        row = torch.arange(len(columns), device=columns.device)[:, None, None]
        head = torch.arange(self.keys.shape[1], device=columns.device)[None, :, None]
        self._storage = (self.keys[row, head, columns], self.values[row, head, columns])
        self.keys, self.values = (storage[:, :, :kept] for storage in self._storage)


def _grown(states: torch.Tensor, needed: int) -> torch.Tensor:
    batch, heads, used, width = states.shape
    storage = states.new_empty(batch, heads, max(needed, 2 * used), width)
    storage[:, :, :used] = states
    return storage


class LockstepCache:
    """The cached rows of a set of episodes, read side by side, and how to extend them.

    For models whose layers keep keys and values and which are told positions; see `Forward`.
    """

    def __init__(self, forward: Forward, keys: Sequence[int]) -> None:
        self.length = dict.fromkeys(keys, 0)
        """The tokens read of each episode; its order is that of the rows."""
        self._forward = forward
        self._cache = forward.cache()
        self._cache.layers = [
            layer if isinstance(layer, DummyLayer) else GrowingLayer()
            for layer in self._cache.layers
        ]
        self._mask = torch.zeros(len(keys), 0, dtype=torch.long, device=forward.device)
        self._has_hole = [False] * len(keys)  # at its end, where its next token would come

    def select(self, keys: Sequence[int]) -> None:
        """Keep only these rows, in this order."""
        row = {key: i for i, key in enumerate(self.length)}
        rows = [row[key] for key in keys]
        if rows != list(range(len(row))):
            index = torch.tensor(rows, device=self._mask.device)
            self._cache.batch_select_indices(index)
            self._mask = self._mask[index]
            self._has_hole = [self._has_hole[i] for i in rows]
            self.length = {key: self.length[key] for key in keys}
        if any(self._has_hole):
            self._close_holes()

    def drop(self, key: int, count: int) -> None:
        """Take the last `count` tokens of a row back; holes stay where they were."""
        row = list(self.length).index(key)
        self._mask[row, self._mask[row].nonzero().squeeze(1)[-count:]] = 0
        self.length[key] -= count
        self._has_hole[row] = True

    def extend(self, chunks: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append a chunk of ids a row; logits (rows, vocabulary) after each row's last token.

        An empty chunk adds a hole, and that row's logits mean nothing.
        """
        is_holed = any(c and hole for c, hole in zip(chunks, self._has_hole, strict=True))
        if is_holed and self._forward.counts_columns:
            self._close_holes()
        num_rows, width = len(chunks), max(len(chunk) for chunk in chunks)
        ids, mask, position = torch.zeros(3, num_rows, width, dtype=torch.long)
        for i, (key, chunk) in enumerate(zip(self.length, chunks, strict=True)):
            size, start = len(chunk), self.length[key]
            ids[i, :size] = torch.tensor(chunk, dtype=torch.long)
            mask[i, :size] = 1
            # Holes stand where the row's last token does: there is a position for each.
            position[i] = torch.arange(start, start + width).clamp(max=max(start + size - 1, 0))
            self.length[key] = start + size
            self._has_hole[i] |= size < width
        device = self._mask.device
        self._mask = torch.cat([self._mask, mask.to(device)], dim=1)
        return self._forward(
            ids.to(device),
            self._cache,
            position=position.to(device),
            mask=self._mask,
            last=(mask.sum(dim=1) - 1).clamp(min=0).to(device),
        )

    def _close_holes(self) -> None:
        """Move every row's real tokens to the right; their order and positions stay."""
        # A stable sort puts holes first and real columns last, in order.
        columns = self._mask.argsort(dim=1, stable=True)[:, -max(self.length.values()) :]
        for layer in self._cache.layers:
            if isinstance(layer, GrowingLayer):
                layer.gather_columns(columns)
        self._mask = self._mask.gather(1, columns)
        self._has_hole = [False] * len(self._has_hole)
