"""Whatever the family: a model playing several episodes sees what it sees of each alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.model_families import (
    ONE_AT_A_TIME,
    REFUSED,
    SIDE_BY_SIDE,
    VOCABULARY,
    WINDOW,
    family_model,
)

from w2stree.errors import InvalidInput
from w2stree.policies.forward import Forward
from w2stree.policies.kv_cache import LockstepCache
from w2stree.policies.separate_caches import SeparateCaches

pytestmark = pytest.mark.train

# The episodes of each turn, in their order, and how many tokens each is sent in every pass:
# prompts shorter and longer than the window, rows that finish, jump ahead, leave, change places.
TURNS: list[tuple[list[int], list[tuple[int, ...]]]] = [
    ([0, 1, 2], [(3, 41, 11), (1, 1, 1), (2, 1, 4), (0, 1, 1), (0, 1, 0)]),
    ([2, 0, 1], [(9, 2, 5), (1, 1, 1), (1, 0, 1), (3, 0, 1)]),
    ([1, 2], [(8, 3), (1, 1), (1, 5), (0, 1), (0, 1)]),
]


@torch.inference_mode()
def worst_difference(model: Any, cache: LockstepCache | SeparateCaches) -> float:
    """Of a cached logit from that of a whole forward pass."""
    rng = np.random.default_rng(0)
    history: dict[int, list[int]] = {0: [], 1: [], 2: []}
    worst = 0.0
    for keys, passes in TURNS:
        cache.select(keys)
        for sizes in passes:
            chunks = [rng.integers(3, VOCABULARY, size).tolist() for size in sizes]
            logits = cache.extend(chunks)
            for row, (key, chunk) in enumerate(zip(keys, chunks, strict=True)):
                history[key] += chunk
                if chunk:
                    expected = model(torch.tensor([history[key]])).logits[0, -1]
                    worst = max(worst, float((logits[row] - expected).abs().max()))
    assert min(len(ids) for ids in history.values()) > 0
    assert max(len(ids) for ids in history.values()) > 3 * WINDOW
    return worst


@pytest.mark.parametrize("family", SIDE_BY_SIDE)
def test_side_by_side_as_alone(family: str) -> None:
    model = family_model(SIDE_BY_SIDE[family]())
    forward = Forward(model)
    assert forward.is_side_by_side
    assert worst_difference(model, LockstepCache(forward, [0, 1, 2])) < 1e-5


@pytest.mark.parametrize("family", ONE_AT_A_TIME)
def test_one_at_a_time(family: str) -> None:
    model = family_model(ONE_AT_A_TIME[family]())
    forward = Forward(model)
    assert not forward.is_side_by_side
    assert worst_difference(model, SeparateCaches(forward, [0, 1, 2])) < 1e-5


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3_next"])
def test_tokens_taken_back_are_not_read(family: str) -> None:
    model = family_model((SIDE_BY_SIDE | ONE_AT_A_TIME)[family]())
    forward = Forward(model)
    kind = LockstepCache if forward.is_side_by_side else SeparateCaches
    cache, prompts = kind(forward, [0, 1]), [list(range(3, 40)), list(range(5, 15))]
    cache.extend(prompts)
    cache.extend([[7, 8, 9], [7]])
    cache.drop(0, 2)
    logits = cache.extend([[30], [31]])
    for row, ids in zip(logits, (prompts[0] + [7, 30], prompts[1] + [7, 31]), strict=True):
        with torch.inference_mode():
            expected = model(torch.tensor([ids])).logits[0, -1]
        np.testing.assert_allclose(row, expected, atol=1e-5)


@pytest.mark.parametrize("family", REFUSED)
def test_refused_by_name(family: str) -> None:
    with pytest.raises(InvalidInput, match=family):
        Forward(family_model(REFUSED[family]()))


def test_an_encoder_decoder_is_refused() -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=16, d_ff=48, num_layers=1)
    with pytest.raises(InvalidInput, match="encoder-decoder; give a causal"):
        Forward(T5ForConditionalGeneration(config))
