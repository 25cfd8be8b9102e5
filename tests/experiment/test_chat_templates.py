"""A template that cannot be used is refused before anything is played or trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("torch")

from support.chat_models import byte_level, sentencepiece
from support.experiments import run, smallest
from support.tiny_models import tiny_model

from w2stree.errors import InvalidInput
from w2stree.experiment.checks import _check_chats
from w2stree.experiment.config import Config, load_config
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.untrained import untrained_model
from w2stree.training.models import Architecture, build_model, load_model, save_model
from w2stree.trajectories.files import read_trajectories
from w2stree.turns.chat import ChatFormat
from w2stree.turns.template import read_template

pytestmark = pytest.mark.train

_SIZE = Architecture(
    hidden_size=64, num_layers=2, num_heads=2, intermediate_size=128, max_length=4096
)
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
    model, tokenizer = untrained_model(Context(config, tmp_path / "run"), "strong", "sft_strong")
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


@pytest.mark.slow
@pytest.mark.java
def test_models_of_directories_go_from_demonstrations_to_report(tmp_path: Path) -> None:
    """A base model without a template, and a strong one that would think by its own."""
    for name, tokenizer in {
        "base": sentencepiece(None),
        "qwen3": byte_level(read_template("qwen3")),
    }.items():
        build_model(_SIZE, tokenizer, seed=0).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    long = {"num_epochs": 30, "learning_rate": 5.0e-3}
    params = {"numLocations": 1, "numItemsToPutAway": 1}
    game = {"name": "textworld_express", "game": "twc", "params": params, "max_steps": 6}
    strong = {"chat_template": "qwen3_training", "template_arguments": {"enable_thinking": False}}
    config = smallest(
        game,
        {"demonstrations": 4, "explore": 4, "test": 4},
        max_length=4000,
        decoding={"thought": False},
        weak={"path": "base", "chat_template": "plain", "sft": long},
        strong={"path": "qwen3", **strong, "sft": long},
    )
    ran = run(config, tmp_path)
    assert ran.returncode == 0, ran.stderr[-4000:]
    rundir = tmp_path / "runs" / "smallest"
    chats = {n: ChatFormat(load_model(rundir / n / "model")[1]) for n in ("sft_weak", "mcts_sft")}
    assert chats["sft_weak"].end == "</s>"
    assert chats["mcts_sft"].opening.endswith("<think>\n\n</think>\n\n")
    explored = read_trajectories(rundir / "explore" / "trajectories.jsonl")
    assert {t.origin.tokenizer for t in explored} == {chats["sft_weak"].fingerprint()}
