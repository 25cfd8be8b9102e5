"""A training of so many optimiser steps, whatever the number of its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest
from w2stree.rows.rows import preference_rows
from w2stree.training.fitting import Fitting
from w2stree.training.optimisation import Optimisation

pytestmark = pytest.mark.train
FIVE = Optimisation(num_steps=5, learning_rate=1e-3, batch_size=2, warmup_ratio=0.4)


def _fitting(folder: Path, told: list[tuple[int, int]]) -> Fitting:
    return Fitting(
        max_length=512,
        seed=5,
        output_dir=folder,
        progress=lambda step, total, _: told.append((step, total)),
    )


@pytest.mark.parametrize("unshared", [False, True])
@pytest.mark.parametrize("runs", [[GOOD], [GOOD, BAD, WORSE, GOOD, BAD]])
@pytest.mark.parametrize("micro_batch_size", [None, 1])
def test_sft_takes_so_many_steps_by_the_schedule_of_so_many(
    tmp_path: Path, runs: list[Any], unshared: bool, micro_batch_size: int | None
) -> None:
    told: list[tuple[int, int]] = []
    tokenizer = tiny_tokenizer()
    how = replace(FIVE, unshared=unshared, micro_batch_size=micro_batch_size, scheduler="linear")
    trained = _fitting(tmp_path, told).sft((tiny_model(tokenizer), tokenizer), runs, how)
    assert told == [(step, 5) for step in range(1, 6)]
    assert trained.metrics["num_steps"] == 5
    rates = [step["learning_rate"] for step in trained.steps]
    assert rates == pytest.approx([0, 5e-4, 1e-3, 1e-3 * 2 / 3, 1e-3 / 3])
    assert trained.metrics["tokens_per_s"] > 0


@pytest.mark.parametrize("unshared", [False, True])
def test_so_does_dpo(tmp_path: Path, unshared: bool) -> None:
    told: list[tuple[int, int]] = []
    tokenizer = tiny_tokenizer()
    trained = _fitting(tmp_path, told).dpo(
        (tiny_model(tokenizer), tokenizer),
        preference_rows(build_forest([GOOD, BAD, WORSE]).pairs(), "step"),
        replace(FIVE, unshared=unshared, scheduler="constant_with_warmup"),
        reference=lambda: (tiny_model(tokenizer), tokenizer),
        reference_is_start=True,
        beta=0.1,
        sft_weight=1.0,
    )
    assert [step for step, _ in told] == [1, 2, 3, 4, 5]
    assert [step["learning_rate"] for step in trained.steps] == pytest.approx(
        [0, 5e-4, 1e-3, 1e-3, 1e-3]
    )


@pytest.mark.parametrize("unshared", [False, True])
def test_the_steps_of_whole_epochs_are_those_of_the_epochs(tmp_path: Path, unshared: bool) -> None:
    tokenizer = tiny_tokenizer()
    by_epochs = replace(FIVE, num_steps=None, num_epochs=2, unshared=unshared)
    by_steps = replace(FIVE, num_steps=4, unshared=unshared)  # three rows, two a step
    first, second = (
        _fitting(tmp_path, []).sft((tiny_model(tokenizer), tokenizer), [GOOD, BAD, WORSE], how)
        for how in (by_epochs, by_steps)
    )
    assert [s["loss"] for s in first.steps] == [s["loss"] for s in second.steps]
    weights = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all((a == b).all() for a, b in weights)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "neither num_epochs nor num_steps is given; give one of them"),
        ({"num_epochs": 1, "num_steps": 1}, "num_epochs and num_steps are both given; give one"),
        ({"num_steps": 0}, "num_steps is 0; give at least 1"),
        ({"num_steps": 2.5}, r"num_steps is 2\.5; give a whole number or None"),
        ({"num_epochs": 0}, "num_epochs is 0; give a number above 0"),
    ],
)
def test_exactly_one_says_how_long(given: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Optimisation(learning_rate=1e-3, **given)
