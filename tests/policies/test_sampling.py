"""Sampling on the model's device against the plain NumPy of its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from w2stree.errors import ModelFailure
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.sampling import Sampled, Sampler

pytestmark = pytest.mark.train


def episode(seed: int, temperature: float, top_p: float = 1.0) -> Episode:
    return Episode(0, (), Sampling(temperature, top_p), np.random.default_rng(seed), [])


def defined(logits: Any, allowed: Any, episode: Episode) -> Sampled:
    """Sort everything, keep the nucleus, take what the drawn number falls on."""
    ids = np.arange(len(logits)) if allowed is None else allowed
    scores = logits[ids].astype(np.float64)
    sampling = episode.sampling
    if sampling.temperature == 0.0:
        return int(ids[scores.argmax()]), 0.0
    mass = np.exp((scores - scores.max()) / sampling.temperature)
    mass /= mass.sum()
    order = np.argsort(-scores, kind="stable")
    cumulative = mass[order].cumsum()
    size = len(order)
    if sampling.top_p < 1.0:
        size = min(size, int((cumulative < sampling.top_p).sum()) + 1)
    whole = 1.0 if sampling.top_p == 1.0 else cumulative[size - 1]
    rank = int((cumulative[: size - 1] <= episode.rng.random() * whole).sum())
    return int(ids[order[rank]]), float(np.log(mass[order[rank]] / whole))


def logits_of(rng: np.random.Generator, rows: int, columns: int, scale: float, step: float) -> Any:
    """Random, with ties where there is a `step`."""
    values = rng.standard_normal((rows, columns)) * scale
    return (np.round(values / step) * step if step else values).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    columns=st.sampled_from([1, 2, 7, 64, 65, 500, 9_000, 20_000]),
    scale=st.sampled_from([0.0, 0.3, 2.0, 8.0, 40.0]),
    step=st.sampled_from([0.0, 0.5, 4.0]),
    temperatures=st.lists(st.sampled_from([0.0, 0.1, 0.7, 1.0, 3.0]), min_size=1, max_size=5),
    top_p=st.sampled_from([1e-9, 0.3, 0.5, 0.9, 0.999, 1.0]),
)
def test_the_token_is_the_defined_one(
    seed: int, columns: int, scale: float, step: float, temperatures: list[float], top_p: float
) -> None:
    rng = np.random.default_rng(seed)
    logits = logits_of(rng, len(temperatures), columns, scale, step)
    logits[rng.random(logits.shape) < 0.1] = -np.inf
    logits[:, 0] = 0.0  # at least one may come
    allowed = [
        None if rng.random() < 0.5 else np.flatnonzero(rng.random(columns) < rng.random())
        for _ in temperatures
    ]
    allowed = [ids if ids is None or 0 in ids else np.append(0, ids) for ids in allowed]
    ours = [episode(seed + i, t, top_p) for i, t in enumerate(temperatures)]
    theirs = [episode(seed + i, t, top_p) for i, t in enumerate(temperatures)]
    sampled = Sampler().sample(torch.from_numpy(logits), allowed, ours)
    for i, (token, own) in enumerate(zip(sampled, theirs, strict=True)):
        expected = defined(logits[i], allowed[i], own)
        assert not isinstance(token, ModelFailure)
        assert token[0] == expected[0]
        assert token[1] == pytest.approx(expected[1], abs=1e-9)
        assert ours[i].rng.random() == own.rng.random(), "one number a token"


def test_a_batch_does_not_change_its_rows() -> None:
    logits = torch.from_numpy(logits_of(np.random.default_rng(0), 9, 30_000, 3.0, 0.0))
    rows = [(0.7, 0.9), (0.0, 1.0), (1.0, 1.0), (1.5, 0.99), (1.0, 0.8)] * 2
    together = Sampler().sample(logits, [None] * 9, [episode(i, *rows[i]) for i in range(9)])
    alone = [
        Sampler().sample(logits[i : i + 1], [None], [episode(i, *rows[i])])[0] for i in range(9)
    ]
    assert together == alone


def test_frequencies_follow_temperature_and_nucleus() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    one = episode(0, 1.0, 0.75)
    draws = [Sampler().sample(logits, [None], [one])[0] for _ in range(4000)]
    tokens = [token for token, _ in draws]  # type: ignore[misc]
    assert set(tokens) == {0, 1}, "0.5 + 0.3 reaches 0.75"
    assert abs(tokens.count(0) / 4000 - 0.5 / 0.8) < 0.03
    expected = np.log((0.5 if tokens[0] == 0 else 0.3) / 0.8)
    assert draws[0][1] == pytest.approx(expected, abs=1e-6)  # type: ignore[index]


@pytest.mark.parametrize("columns", [50, 30_000])
def test_rows_of_no_numbers_fail_alone(columns: int) -> None:
    logits = torch.zeros(4, columns)
    logits[0, columns // 2] = torch.nan
    logits[1, 3] = torch.inf
    logits[2, :] = -torch.inf
    some = [episode(i, 0.7 if i % 2 else 0.0) for i in range(4)]
    sampled = Sampler().sample(logits, [None] * 4, some)
    assert [isinstance(token, ModelFailure) for token in sampled] == [True, True, True, False]
    assert "greatest logit is nan" in str(sampled[0])
    assert "greatest logit is inf" in str(sampled[1])


def test_allowed_sets_that_come_again_stay_on_the_device() -> None:
    sampler, ids = Sampler(), np.array([3, 5])
    logits = torch.zeros(1, 10)
    for _ in range(3):
        assert sampler.sample(logits, [ids], [episode(0, 0.0)]) == [(3, 0.0)]
    assert len(sampler._kept) == 1
