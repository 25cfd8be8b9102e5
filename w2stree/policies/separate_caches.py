"""A cache for each episode, read one after the other: for models whose rows cannot share one.

    episode 0  [ prompt ][ turn ][ observation ][ tu       a pass each
    episode 1  [ prompt     ][ turn   ][ obse              no holes: a state would swallow them

Recurrent and linear attention layers keep a state, not columns that a mask could leave out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from w2stree.policies.forward import Forward


class SeparateCaches:
    """As `LockstepCache`, at a forward pass for each episode."""

    def __init__(self, forward: Forward, keys: Sequence[int]) -> None:
        self.length = dict.fromkeys(keys, 0)
        """The tokens read of each episode, in the order of the episodes."""
        self._forward = forward
        self._cache = {key: forward.cache() for key in keys}
        self._ids: dict[int, list[int]] = {key: [] for key in keys}  # read so far

    def select(self, keys: Sequence[int]) -> None:
        """Keep only these episodes, in this order."""
        self._cache = {key: self._cache[key] for key in keys}
        self._ids = {key: self._ids[key] for key in keys}
        self.length = {key: self.length[key] for key in keys}

    def drop(self, key: int, count: int) -> None:
        """Take the last `count` tokens of an episode back: a state forgets nothing, so what was
        before them is read anew."""
        kept = self._ids[key][:-count]
        self._cache[key], self._ids[key], self.length[key] = self._forward.cache(), [], 0
        self._read(key, kept)

    def extend(self, chunks: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append a chunk of ids an episode; logits (episodes, vocabulary) after its last token.

        The logits of an empty chunk mean nothing.
        """
        read = [
            self._read(key, chunk) if chunk else None
            for key, chunk in zip(self.length, chunks, strict=True)
        ]
        nothing = torch.zeros_like(next(row for row in read if row is not None))
        return torch.stack([nothing if row is None else row for row in read])

    def _read(self, key: int, chunk: Sequence[int]) -> torch.Tensor:
        is_begun = self.length[key] > 0
        size = 1 if is_begun and self._forward.is_step_by_step else len(chunk)
        for begin in range(0, len(chunk), size):
            logits = self._pass(key, chunk[begin : begin + size])
        return logits

    def _pass(self, key: int, ids: Sequence[int]) -> torch.Tensor:
        device, start = self._forward.device, self.length[key]
        self.length[key] += len(ids)
        self._ids[key] += ids
        return self._forward(
            torch.tensor([ids], device=device),
            self._cache[key],
            position=torch.arange(start, start + len(ids), device=device)[None],
            mask=None,
            last=torch.tensor([len(ids) - 1], device=device),
        )[0]
