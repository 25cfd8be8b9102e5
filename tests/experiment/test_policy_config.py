"""Policies in configurations: each section makes its policy, or says what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from pydantic import TypeAdapter, ValidationError

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.experiment.config.policy import PolicySection
from w2stree.policies.protocol import ModelName


def make(section: dict[str, Any], model: ModelName = "tuned") -> Any:
    return TypeAdapter(PolicySection).validate_python(section).policy(model)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from support.tiny_models import tiny_model, tiny_tokenizer

    from w2stree.training.models import save_model

    folder = tmp_path_factory.mktemp("model")
    tokenizer = tiny_tokenizer()
    save_model(folder, tiny_model(tokenizer), tokenizer)
    return folder


def test_policies_without_a_model() -> None:
    assert make({"name": "random"}).name == "random"
    assert make({"name": "expert", "noise": 0.2}, "base").name == "expert(noise=0.2)"


@pytest.mark.train
def test_ids_of_one_tokenizer_have_one_fingerprint(model_dir: Path) -> None:
    pytest.importorskip("openai")
    local = make({"name": "transformers", "model": model_dir})
    served = make({"name": "openai", "model": "weak", "tokenizer": model_dir})
    blind = make({"name": "openai", "model": "weak"})
    assert local.name == "transformers"
    assert served.name == "openai(model=weak)"
    assert served.tokenizer == local.tokenizer is not None
    assert blind.tokenizer is None


@pytest.mark.train
def test_the_base_model_is_another(model_dir: Path) -> None:
    pytest.importorskip("openai")
    section = {"name": "openai", "model": "adapter", "base_model": "llama"}
    assert make(section, "base").name == "openai(model=llama)"
    with pytest.raises(InvalidInput, match=r"set policy\.base_model"):
        make({"name": "transformers", "model": model_dir}, "base")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="transformers"):
        make({"name": "oracle"})
    with pytest.raises(ValidationError, match="noise"):
        make({"name": "expert", "noise": 2})
    if importlib.util.find_spec("vllm") is None:
        with pytest.raises(MissingDependency, match="environment of its own"):
            make({"name": "vllm", "model": tmp_path})
    if importlib.util.find_spec("openai") is not None:
        with pytest.raises(InvalidInput, match="no tokenizer_config"):
            make({"name": "openai", "model": "m", "tokenizer": tmp_path})
