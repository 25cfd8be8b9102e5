"""A template that cannot be used is refused before anything is played or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("torch")

from support.chat_models import byte_level
from support.experiments import smallest
from support.tiny_models import tiny_model

from w2stree.errors import InvalidInput
from w2stree.experiment.checks import _check_chats
from w2stree.experiment.config import Config, load_config
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.untrained import untrained_model
from w2stree.training.models import load_model, save_model
from w2stree.turns.chat import ChatFormat
from w2stree.turns.template import read_template

pytestmark = pytest.mark.train

SFT = {"num_epochs": 1, "learning_rate": 1.0e-3}


def _saved(folder: Path, template: str | None) -> Path:
    """As others save it: w2stree saves no model whose turns have no end."""
    tokenizer = byte_level(template)
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _config(tmp_path: Path, **strong: Any) -> Config:
    import yaml

    game = {"name": "textworld_express", "game": "twc"}
    tasks = {"demonstrations": 2, "explore": 2, "test": 2}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(smallest(game, tasks, strong={"sft": SFT, **strong})))
    return load_config(path)


def test_a_refused_template_is_found_before_the_first_stage(tmp_path: Path) -> None:
    thinking = str(_saved(tmp_path / "qwen3", read_template("qwen3")))
    with pytest.raises(InvalidInput, match=r"strong \(.*qwen3\): the chat template drops what ear"):
        _check_chats(_config(tmp_path, path=thinking))
    _check_chats(
        _config(
            tmp_path,
            path=thinking,
            chat_template="qwen3_training",
            template_arguments={"enable_thinking": False},
        )
    )


def test_a_model_is_trained_and_saved_with_the_template_it_was_given(tmp_path: Path) -> None:
    base = str(_saved(tmp_path / "base", None))
    with pytest.raises(InvalidInput, match="no chat template"):
        _check_chats(_config(tmp_path, path=base))
    config = _config(tmp_path, path=base, chat_template="plain")
    model, tokenizer = untrained_model(Context(config, tmp_path / "run"), "strong")
    save_model(tmp_path / "trained", model, tokenizer)
    again = load_model(tmp_path / "trained")[1]
    assert again.chat_template == read_template("plain")
    assert ChatFormat(again).fingerprint() == ChatFormat(tokenizer).fingerprint()


@pytest.mark.parametrize(
    ("strong", "message"),
    [
        ({"chat_template": "plain"}, "are for a model of a directory"),
        ({"template_arguments": {"x": 1}}, "are for a model of a directory"),
        ({"template_arguments": {"x": [1]}}, r"strong\.template_arguments\.x"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(
    tmp_path: Path, strong: dict[str, Any], message: str
) -> None:
    size = {"hidden_size": 32, "num_layers": 1, "num_heads": 2, "intermediate_size": 64}
    with pytest.raises(InvalidInput, match=message):
        _config(tmp_path, architecture=size, **strong)
