"""Whether a model says of a pack what it says of the sequences: asked of the model before training.

Two sequences that share their beginning, a beginning of them, and another tree are scored on a pack
and one by one. Models that no list knows (own code, relative positions, buffers by place) differ.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from w2stree.errors import InvalidInput, RowWarning
from w2stree.training.positions import num_positions
from w2stree.training.trees.attention.forward import can_gather, tree_attention
from w2stree.training.trees.families import why_unshared
from w2stree.training.trees.head import plain
from w2stree.training.trees.pack import pack
from w2stree.training.trees.scores import PackTensors, scores
from w2stree.training.trees.sequences import ScoredIds

_NUM_SCORED = 8
_NUM_SHARED = 72  # more than a block of `gather`
# A token, at most: GPUs may multiply float32 with TF32's 10 bits.
_ROUNDING = {torch.float64: 1e-6, torch.float32: 2e-3, torch.float16: 0.05, torch.bfloat16: 0.2}
_ROUNDING_OF_FLOAT32_ON_CPU = 1e-4
_REMEDY = "; train it unshared"


def why_refused(model: Any, longest: int | None = None) -> str | None:
    """One sentence saying why the model cannot be trained on trees, by what it is made of
    (`why_unshared`) or by what it says of packs; None if it can. `longest`: as `check_scores`."""
    if (reason := why_unshared(model, longest)) is not None:
        return reason
    try:
        check_scores(model, longest=longest)
    except InvalidInput as error:
        return str(error).removesuffix(_REMEDY)
    return None


def is_refused_by_trees(model: Any, longest: int | None = None) -> bool:
    """Whether each row has to be computed by itself; a warning says why. As `why_refused`."""
    reason = why_refused(model, longest)
    if reason is not None:
        warnings.warn(f"{reason}: each row is computed by itself", RowWarning, stacklevel=3)
    return reason is not None


@torch.no_grad()
def check_scores(model: Any, *, longest: int | None = None, attention: str = "auto") -> None:
    """Raises `InvalidInput` unless packs give the model's own scores, by every backend used.

    `longest`: tokens of the longest sequence that is trained; where that leaves a window, so does
    the probe. Cost: three forward passes over a hundred tokens, or over the window. Call it before
    the model is wrapped for half precision: what is allowed to differ is what its weights round.
    """
    inner = plain(model)
    sequences = _sequences(inner, longest)
    was_training = model.training
    model.eval()
    try:
        apart = [_alone(model, sequence) for sequence in sequences]
        with tree_attention(model):
            both = ("dense", "gather") if can_gather(model) else ("dense",)
            for backend in both if attention == "auto" else (attention,):
                tensors = PackTensors.of(pack(sequences), model.device)
                together = scores(model, tensors, backend).tolist()
                _compare(inner, backend, together, apart)
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(
            f"{type(inner).__name__} cannot be trained on trees: its forward takes no packs "
            f"({type(error).__name__}: {error}){_REMEDY}"
        ) from error
    finally:
        model.train(was_training)


def _sequences(inner: Any, longest: int | None) -> list[ScoredIds]:
    config = inner.config.get_text_config()
    num_shared = _NUM_SHARED
    for name in ("sliding_window", "attention_chunk_size", "window_size"):
        window = getattr(config, name, None)
        if window and (longest is None or longest > window):
            num_shared = max(num_shared, window + _NUM_SCORED)
    if limit := num_positions(config):
        num_shared = max(2, min(num_shared, limit - _NUM_SCORED))
    ids = np.arange(num_shared + 3 * _NUM_SCORED) * 7 % config.vocab_size
    shared, ends = ids[:num_shared], ids[num_shared:].reshape(3, -1)
    return [
        _scored(np.concatenate([shared, ends[0]]), 0),
        _scored(np.concatenate([shared, ends[1]]), 0),
        _scored(shared, 0),
        _scored(ends[2], 1),
    ]


def _scored(ids: Any, tree: int) -> ScoredIds:
    """The last tokens count."""
    weight = np.zeros(len(ids), np.float32)
    weight[1:][-_NUM_SCORED:] = 1
    return ScoredIds(ids.astype(np.int32), weight, tree)


def _alone(model: Any, sequence: ScoredIds) -> float:
    ids = torch.from_numpy(sequence.ids).long().to(model.device)
    logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
    found = logits.double().log_softmax(-1).gather(1, ids[1:, None])[:, 0]
    return float(found.cpu() @ torch.from_numpy(sequence.weight[1:]).double())


def _compare(inner: Any, backend: str, together: list[float], apart: list[float]) -> None:
    rounding = _ROUNDING.get(inner.dtype, 0.2)
    if inner.dtype == torch.float32 and inner.device.type == "cpu":
        rounding = _ROUNDING_OF_FLOAT32_ON_CPU
    furthest = max(range(len(apart)), key=lambda s: abs(together[s] - apart[s]))
    found, expected = together[furthest], apart[furthest]
    if not abs(found - expected) <= rounding * _NUM_SCORED:
        raise InvalidInput(
            f"{type(inner).__name__} cannot be trained on trees: {backend} attention scores a "
            f"sequence {found:.6g} on a pack and {expected:.6g} by itself{_REMEDY}"
        )
