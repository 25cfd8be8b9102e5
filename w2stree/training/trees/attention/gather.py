"""Gather: a run of queries after the other, against the keys of its own path. Any device, by SDPA.

The linear layers see each node once; attention costs what it costs on the sequences apart, less the
queries that they share. Nothing but queries, keys and values is kept for the backward pass, which
gathers again: beyond them, memory holds one path at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from w2stree.training.trees.attention.masks import Rule, masks
from w2stree.training.trees.attention.paths import Paths


def arguments(model: Any, position: torch.Tensor, paths: Paths) -> dict[str, Any]:
    """`tree_attention`, what attends, and the windows as `attention_mask`, by depth."""
    longest = int(position.max()) + 1
    depth = torch.arange(longest, device=position.device)

    def make(rule: Rule | None) -> torch.Tensor:
        # A mask of no size says that there is no window: for None a model would make its own.
        window = depth.new_zeros(0, 0) if rule is None else rule(depth[:, None], depth)
        return window.bool()[None, None]

    return {
        "attention_mask": masks(model, longest, make),
        "tree_attention": Gather(paths, position.device),
    }


class Gather:
    """Attention over the paths of one pack."""

    def __init__(self, paths: Paths, device: Any) -> None:
        key = torch.from_numpy(paths.key).to(device)
        query_offset, key_offset = paths.query_offset.tolist(), paths.key_offset.tolist()
        self.runs = [
            (slice(*query_offset[r : r + 2]), key[slice(*key_offset[r : r + 2])])
            for r in range(paths.num_runs)
        ]

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: Any
    ) -> torch.Tensor:
        """`[1, heads, num_nodes, head_dim]` of the same; keys and values may have fewer heads.

        Options: `scaling` as SDPA's `scale`, `window` as `arguments` makes it.
        """
        found: torch.Tensor = _Attention.apply(
            query, key, value, self.runs, options["window"][0, 0], options["scaling"]
        )
        return found


def _pieces(
    runs: list[tuple[slice, torch.Tensor]], window: torch.Tensor
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor | None]]:
    """Queries, keys, and their mask (None: all queries see what comes before, as a square)."""
    for queries, keys in runs:
        length, num_queries = len(keys), queries.stop - queries.start
        if len(window):
            yield queries, keys, window[length - num_queries : length, :length]
        elif num_queries == length:
            yield queries, keys, None
        else:
            seen = torch.ones(num_queries, length, dtype=torch.bool, device=keys.device)
            yield queries, keys, seen.tril(length - num_queries)


class _Attention(torch.autograd.Function):
    """Sees to it that no gathered key outlives its run."""

    @staticmethod
    def forward(
        ctx: Any, query: Any, key: Any, value: Any, runs: Any, window: Any, scaling: Any
    ) -> Any:
        ctx.save_for_backward(query, key, value, window)
        ctx.runs, ctx.scaling = runs, scaling
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        for queries, keys, mask in _pieces(runs, window):
            out[:, :, queries] = _sdpa(
                query[:, :, queries], key[:, :, keys], value[:, :, keys], mask, scaling
            )
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        query, key, value, window = ctx.saved_tensors
        to_query = torch.empty_like(query)
        to_key, to_value = torch.zeros_like(key), torch.zeros_like(value)
        for queries, keys, mask in _pieces(ctx.runs, window):
            given = query[:, :, queries], key[:, :, keys], value[:, :, keys]
            with torch.enable_grad():
                q, k, v = (t.detach().requires_grad_() for t in given)
                out = _sdpa(q, k, v, mask, ctx.scaling)
            to_query[:, :, queries], of_key, of_value = torch.autograd.grad(
                out, (q, k, v), grad[:, :, queries]
            )
            to_key.index_add_(2, keys, of_key)
            to_value.index_add_(2, keys, of_value)
        return to_query, to_key, to_value, None, None, None


def _sdpa(query: Any, key: Any, value: Any, mask: Any, scaling: Any) -> torch.Tensor:
    repeated = query.shape[1] // key.shape[1]
    if repeated > 1:  # SDPA's own grouping leaves the fast kernels where there is a mask
        key, value = (t.repeat_interleave(repeated, 1) for t in (key, value))
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scaling
    )
