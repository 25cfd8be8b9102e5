"""Adapters kept beside the model they lie on: the same as merged ones, also on top of others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from peft import PeftModel
from support.tiny_models import BAD, GOOD, tiny_model, tiny_tokenizer
from transformers import AutoModelForCausalLM

from w2stree.errors import InvalidInput
from w2stree.policies.question import eos_ids_in
from w2stree.training.adapters import base_of, is_adapters
from w2stree.training.directory import check_model_directory
from w2stree.training.fitting import Fitting
from w2stree.training.models import load_model, save_model
from w2stree.training.optimisation import Lora, Optimisation

pytestmark = pytest.mark.train

IDS = torch.arange(5, 45)[None]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer = tiny_tokenizer()
    save_model(folder, tiny_model(tokenizer), tokenizer)
    return folder


def trained(start: Path, folder: Path, lora: Lora, *, seed: int = 0) -> Path:
    """The directory of a model trained on top of another directory's."""
    fitting = Fitting(max_length=500, seed=seed, output_dir=folder.parent / "trainer")
    optimisation = Optimisation(num_epochs=2, learning_rate=3e-2, batch_size=2, lora=lora)
    found = fitting.sft(load_model(start), [GOOD, BAD], optimisation)
    save_model(folder, found.model, found.tokenizer)
    return folder


def logits(folder: Path) -> torch.Tensor:
    model, _ = load_model(folder)
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


def test_a_model_of_adapters_is_the_merged_model(base: Path, tmp_path: Path) -> None:
    merged = trained(base, tmp_path / "merged", Lora(r=4, alpha=8))
    kept = trained(base, tmp_path / "kept", Lora(r=4, alpha=8, merge=False))
    assert not is_adapters(merged)
    assert is_adapters(kept)
    assert base_of(kept) == base
    assert not list(kept.glob("model*")), "the base is not written again"
    assert torch.allclose(logits(merged), logits(kept), atol=1e-5)
    assert not torch.allclose(logits(base), logits(kept), atol=1e-1)
    assert eos_ids_in(kept) == eos_ids_in(merged)
    check_model_directory(kept, max_length=500, optimisations=[])


@pytest.mark.parametrize(
    "second",
    [Lora(r=3, alpha=9, merge=False), Lora(r=3, alpha=9, target_modules=("up_proj",), merge=False)],
)
def test_a_second_training_lies_beside_the_first(base: Path, tmp_path: Path, second: Lora) -> None:
    first = Lora(r=4, alpha=8, target_modules=("q_proj", "v_proj"), merge=False)
    start = trained(base, tmp_path / "first", first)
    both = trained(start, tmp_path / "both", second, seed=1)
    merged = Lora(r=3, alpha=9, target_modules=second.target_modules)
    whole = trained(start, tmp_path / "whole", merged, seed=1)
    assert base_of(both) == base
    assert json.loads((both / "adapter_config.json").read_text())["r"] == 7
    assert torch.allclose(logits(whole), logits(both), atol=1e-5)
    assert not torch.allclose(logits(start), logits(both), atol=1e-1)
    others = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), both)
    with torch.no_grad():  # unmerged, as a server computes them
        assert torch.allclose(others(IDS).logits, logits(both), atol=1e-5)


def test_all_weights_may_be_trained_on_top_of_adapters(base: Path, tmp_path: Path) -> None:
    start = trained(base, tmp_path / "first", Lora(r=4, alpha=8, merge=False))
    fitting = Fitting(max_length=500, seed=0, output_dir=tmp_path / "trainer")
    found = fitting.sft(
        load_model(start), [GOOD], Optimisation(num_epochs=1, learning_rate=1e-6, batch_size=1)
    )
    save_model(tmp_path / "whole", found.model, found.tokenizer)
    assert not is_adapters(tmp_path / "whole")
    assert torch.allclose(logits(start), logits(tmp_path / "whole"), atol=1e-3)


def changed(folder: Path, **changes: Any) -> Path:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return folder


def test_what_is_not_there_is_refused_by_its_place(base: Path, tmp_path: Path) -> None:
    kept = trained(base, tmp_path / "kept", Lora(r=4, alpha=8, merge=False))
    beside = Lora(r=4, alpha=8, merge=False)
    with pytest.raises(InvalidInput, match=r"rank_pattern is .*; adapters cannot be laid beside"):
        other = shutil.copytree(kept, tmp_path / "ranks")
        trained(changed(other, rank_pattern={"q_proj": 4}), tmp_path / "out", beside)
    with pytest.raises(
        InvalidInput, match=r"has adapters of 16 weights, .* has place for 12; only"
    ):
        other = shutil.copytree(kept, tmp_path / "layers")
        load_model(changed(other, target_modules=["q_proj", "k_proj", "o_proj"]))
    for named in (str(tmp_path / "gone"), "Qwen/Qwen2.5-0.5B"):
        with pytest.raises(InvalidInput, match=rf"adapter_config.json: .*'{named}', which is no"):
            load_model(changed(kept, base_model_name_or_path=named))
    with pytest.raises(InvalidInput, match=r"names no base_model_name_or_path"):
        check_model_directory(
            changed(kept, base_model_name_or_path=None), max_length=500, optimisations=[]
        )
    (changed(kept, base_model_name_or_path=str(base)) / "adapter_model.safetensors").unlink()
    with pytest.raises(InvalidInput, match=r"adapter_model.safetensors: missing"):
        check_model_directory(kept, max_length=500, optimisations=[])
    tokenizer = tiny_tokenizer()
    fitting = Fitting(max_length=500, seed=0, output_dir=tmp_path / "trainer")
    with pytest.raises(InvalidInput, match=r"lora.merge: false .* this one is in no directory"):
        fitting.sft(
            (tiny_model(tokenizer), tokenizer),
            [GOOD],
            Optimisation(num_epochs=1, learning_rate=1e-3, lora=beside),
        )
