"""What an engine is told of a model's directory is what the model in process goes by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from support.tiny_models import tiny_model, tiny_tokenizer

from w2stree.policies.question import eos_ids, eos_ids_in
from w2stree.training.models import load_model, save_model

pytestmark = pytest.mark.train


def test_a_model_s_own_ends_are_those_in_process(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    save_model(tmp_path, tiny_model(tokenizer), tokenizer)
    config, generation = tmp_path / "config.json", tmp_path / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": [3, 5]}))

    def in_process() -> list[int]:
        return eos_ids(load_model(tmp_path)[0].generation_config)

    assert eos_ids_in(tmp_path) == in_process() == [tokenizer.eos_token_id]
    generation.write_text("{}")
    assert eos_ids_in(tmp_path) == in_process() == []
    generation.unlink()
    assert eos_ids_in(tmp_path) == in_process() == [3, 5]
    assert eos_ids_in(tmp_path / "elsewhere") == []
