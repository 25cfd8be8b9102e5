"""`Fitting`: from trajectories and rows to a trained model, by the trainers' own numbers."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, tiny_model, tiny_tokenizer

from w2stree.errors import InvalidInput, RowsTooLong, RowWarning
from w2stree.forest.build import build_forest
from w2stree.rows.rows import preference_rows
from w2stree.rows.tokenized import tokenize_sft
from w2stree.training.fitting import Fitting
from w2stree.training.optimisation import Optimisation
from w2stree.training.trees.batches import Packing
from w2stree.training.unshared.sft import train_sft
from w2stree.trajectories.trajectory import Message
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train
ONE_EPOCH = Optimisation(num_epochs=1, learning_rate=1e-3, batch_size=2)


def fitting(folder: Path, **options: Any) -> Fitting:
    return Fitting(**{"max_length": 512, "seed": 5, "output_dir": folder, **options})


@pytest.mark.parametrize("unshared", [False, True])
def test_sft_on_trees_and_unshared_is_train_sft_on_tokenized_rows(
    tmp_path: Path, unshared: bool
) -> None:
    tokenizer = tiny_tokenizer()
    told: list[int] = []
    trained = fitting(tmp_path, progress=lambda step, *_: told.append(step)).sft(
        (tiny_model(tokenizer), tokenizer), [GOOD, BAD], replace(ONE_EPOCH, unshared=unshared)
    )
    rows = tokenize_sft([GOOD, BAD], ChatFormat(tokenizer), max_length=512).rows
    again = train_sft(
        tiny_model(tokenizer), tokenizer, rows, ONE_EPOCH, output_dir=str(tmp_path), seed=5
    )
    expected = again.model.state_dict()
    for name, weight in trained.model.state_dict().items():
        torch.testing.assert_close(weight, expected[name], atol=0 if unshared else 1e-5, rtol=0)
    for when in ("loss_before", "loss_after"):
        assert trained.metrics[when] == pytest.approx(again.metrics[when], rel=1e-5)
    assert trained.steps[0] == pytest.approx(again.steps[0], rel=1e-4)
    assert (trained.metrics["num_rows"], trained.metrics["num_too_long"]) == (2, 0)
    assert trained.metrics.get("shared_ratio", 0) > 1 or unshared
    assert told == [1]


def test_the_reference_is_dropped_before_training(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    alive: list[Any] = []

    def reference() -> tuple[Any, Any]:
        model = tiny_model(tokenizer, seed=1)
        alive.append(weakref.ref(model))
        return model, tokenizer

    def progress(*_: Any) -> None:
        gc.collect()
        assert alive[0]() is None

    rows = preference_rows(build_forest([GOOD, BAD]).pairs(), "suffix")
    trained = fitting(tmp_path, progress=progress).dpo(
        (tiny_model(tokenizer), tokenizer),
        rows,
        ONE_EPOCH,
        reference=reference,
        reference_is_start=False,
        beta=0.1,
        sft_weight=0.0,
    )
    assert len(alive) == 1
    assert (trained.metrics["num_used_rows"], trained.metrics["num_too_long"]) == (1, 0)


def test_rows_that_are_too_long_are_told_with_their_failures(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    chat = ChatFormat(tokenizer)
    long = replace(GOOD, steps=GOOD.steps * 3)
    failed = replace(BAD, steps=BAD.steps * 3)
    length = max(len(r["input_ids"]) for r in tokenize_sft([GOOD, BAD], chat, max_length=512).rows)
    told = rf"2 of 4 trajectories exceed max_length \({length} tokens\).*; 1 of them are failures"
    with pytest.warns(RowsTooLong, match=told):
        trained = fitting(tmp_path, max_length=length).sft(
            (tiny_model(tokenizer), tokenizer), [GOOD, BAD, long, failed], ONE_EPOCH
        )
    counts = ("num_rows", "num_too_long", "num_too_long_failures")
    assert [trained.metrics[name] for name in counts] == [2, 2, 1]
    with pytest.raises(InvalidInput, match=r"all 1 exceed max_length \(9 tokens\); raise it"):
        fitting(tmp_path, max_length=9).sft((tiny_model(tokenizer), tokenizer), [GOOD], ONE_EPOCH)


def test_preference_rows_that_are_too_long_are_told(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    rows = preference_rows(build_forest([GOOD, BAD]).pairs(), "suffix")
    long = replace(rows[0], chosen=replace(GOOD, steps=GOOD.steps + GOOD.steps * 3))
    settings = {"reference_is_start": False, "beta": 0.1, "sft_weight": 0.0}

    def dpo(rows: list[Any], max_length: int) -> Any:
        return fitting(tmp_path, max_length=max_length).dpo(
            (tiny_model(tokenizer), tokenizer),
            rows,
            ONE_EPOCH,
            reference=lambda: (tiny_model(tokenizer, seed=1), tokenizer),
            **settings,
        )

    with pytest.warns(RowsTooLong, match=r"1 of 2 preference rows exceed max_length"):
        trained = dpo([rows[0], long], 120)
    assert (trained.metrics["num_used_rows"], trained.metrics["num_too_long"]) == (1, 1)
    with pytest.raises(InvalidInput, match=r"no preference rows to train on: all 1 exceed"):
        dpo([long], 20)


def test_another_beta_asks_the_reference_nothing_anew(tmp_path: Path) -> None:
    """Its scores are kept; those of another reference are computed."""
    tokenizer = tiny_tokenizer()
    rows = preference_rows(build_forest([GOOD, BAD]).pairs(), "suffix")
    cache = tmp_path / "references"

    def passes(folder: str, beta: float, seed: int = 1) -> int:
        model = tiny_model(tokenizer, seed=seed)
        calls: list[int] = []
        model.model.register_forward_hook(lambda *_: calls.append(1))
        fitting(tmp_path / folder, reference_cache=cache).dpo(
            (tiny_model(tokenizer), tokenizer),
            rows,
            ONE_EPOCH,
            reference=lambda: (model, tokenizer),
            reference_is_start=False,
            beta=beta,
            sft_weight=0.0,
        )
        return len(calls)

    first = passes("a", 0.1)
    kept = {path: path.read_bytes() for path in cache.iterdir()}
    assert passes("b", 0.2) == first - len(kept)  # the probe's are left
    assert {path: path.read_bytes() for path in cache.iterdir()} == kept
    assert passes("c", 0.2, seed=2) == first
    assert len(list(cache.iterdir())) == 2 * len(kept)


def test_rows_on_trees_are_shuffled_each_epoch_by_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = tiny_tokenizer()
    tasks = [replace(GOOD, prompt=(Message("user", f"Cook meal {i}."),)) for i in range(8)]
    seen: list[tuple[int, ...]] = []
    packing = Packing.__call__

    def told(self: Packing, examples: list[Any]) -> Any:
        seen.extend(tuple(e.sequences[0].ids.tolist()) for e in examples)
        return packing(self, examples)

    monkeypatch.setattr(Packing, "__call__", told)

    def epochs(seed: int) -> list[list[tuple[int, ...]]]:
        seen.clear()
        how = replace(ONE_EPOCH, num_epochs=2)
        fitting(tmp_path, seed=seed).sft((tiny_model(tokenizer), tokenizer), tasks, how)
        return [seen[8:16], seen[16:24]]  # evaluations before and after

    first = epochs(1)
    assert len(seen) == 4 * 8
    assert first[0] != first[1]
    assert sorted(first[0]) == sorted(first[1])
    assert epochs(1) == first
    assert epochs(2) != first


def test_a_model_that_only_the_probe_refuses_is_trained_unshared(tmp_path: Path) -> None:
    """Its embedding turns with a token's place in the batch, which no list knows."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer)

    def by_place(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
        return output * (1 + torch.arange(output.shape[1])[None, :, None] / 100)

    model.model.embed_tokens.register_forward_hook(by_place)
    with pytest.warns(RowWarning, match=r"on a pack and .* by itself: each row is computed by"):
        trained = fitting(tmp_path).sft((model, tokenizer), [GOOD, BAD], ONE_EPOCH)
    assert "shared_ratio" not in trained.metrics


@pytest.mark.parametrize("unshared", [False, True])
def test_nothing_to_train_on_is_refused(unshared: bool, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    how = replace(ONE_EPOCH, unshared=unshared)
    with pytest.raises(InvalidInput, match="to train on"):
        fitting(tmp_path).sft((tiny_model(tokenizer), tokenizer), [], how)
