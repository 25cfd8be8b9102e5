"""A model directory that cannot be trained is told of before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from support.tiny_models import tiny_model, tiny_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from w2stree.errors import InvalidInput
from w2stree.training.directory import check_model_directory
from w2stree.training.models import save_model
from w2stree.training.optimisation import Lora, Optimisation

pytestmark = pytest.mark.train


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = tiny_tokenizer()
    save_model(tmp_path, tiny_model(tokenizer), tokenizer)
    return tmp_path


def check(folder: Path, *, max_length: int = 512, **options: Any) -> None:
    check_model_directory(
        folder,
        max_length=max_length,
        optimisations=[Optimisation(num_epochs=1, learning_rate=1e-4, **options)],
    )


def test_a_whole_directory_passes(folder: Path) -> None:
    check(folder, lora=Lora())
    check(folder, lora=Lora(target_modules="all-linear"))


def test_weights_are_there_and_whole(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(InvalidInput, match=r"model.safetensors: .*is the download complete\?"):
        check(folder)
    weights.unlink()
    with pytest.raises(InvalidInput, match=r"no weights; expected one of model.safetensors"):
        check(folder)
    index = {"weight_map": {"a": "model-1-of-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidInput, match=r"model-1-of-2.safetensors: missing, though the files"):
        check(folder)


def test_a_model_that_is_no_causal_lm_is_named(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(InvalidInput, match="a model of type vit is no causal LM"):
        check(folder)
    (folder / "config.json").write_text('{"model_type": "of_tomorrow"}')
    with pytest.raises(InvalidInput, match=r"config.json: .*of_tomorrow"):
        check(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"config.json: "):
        check(folder)


def test_what_would_not_be_saved_again_is_told_before(folder: Path) -> None:
    (folder / "generation_config.json").write_text('{"do_sample": false, "temperature": 0.6}')
    with pytest.raises(InvalidInput, match=r"(?s)generation_config.json: .*temperature"):
        check(folder)


def test_rows_may_be_no_longer_than_the_model_s_positions(folder: Path) -> None:
    check(folder, max_length=512)
    with pytest.raises(InvalidInput, match=r"512 positions, fewer than max_length \(513\)"):
        check(folder, max_length=513)


def test_adapters_need_their_layers(tmp_path: Path) -> None:
    GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=8, n_layer=1, n_head=2)).save_pretrained(
        tmp_path
    )
    has = "the model has c_attn, c_proj, c_fc"
    with pytest.raises(InvalidInput, match=f"lora.target_modules names q_proj.*{has}"):
        check(tmp_path, lora=Lora())
    with pytest.raises(InvalidInput, match=f"names attn, {has}"):
        check(tmp_path, lora=Lora(target_modules=("c_proj", "attn")))
    check(tmp_path, lora=Lora(target_modules=("attn.c_proj",)))
