"""Small models: a tokenizer that loses nothing, weights that follow the seed."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import GOOD, tiny_model, tiny_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

import w2stree
from w2stree.errors import InvalidInput
from w2stree.policies.question import eos_ids_in
from w2stree.rows.tokenized import tokenize_sft
from w2stree.training.directory import check_model_directory
from w2stree.training.models import load_model, load_tokenizer, save_model, train_tokenizer
from w2stree.training.optimisation import Optimisation
from w2stree.training.unshared.sft import train_sft
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train
BOILERPLATE = "In one part of the room you see a"


def test_boilerplate_is_one_token_and_rare_words_stay_words() -> None:
    things = ["stove", "oven", "red carrot", "fridge", "green carrot"]
    texts = [f"{BOILERPLATE} {thing}." for thing in things for _ in range(3)]
    tokenizer = train_tokenizer(texts, vocab_size=400, phrase_min_count=10)
    assert BOILERPLATE in tokenizer.tokenize(texts[0])
    assert tokenizer.tokenize(f"{BOILERPLATE} stove.")[1:] == ["Ġstove", "."]
    assert BOILERPLATE not in tokenizer.tokenize(f"{BOILERPLATE}n oven."), "words stay whole"
    without = train_tokenizer(texts, vocab_size=400, phrase_min_count=1000)
    assert len(without.tokenize(texts[0])) > len(tokenizer.tokenize(texts[0]))


@pytest.mark.parametrize("text", ["Thought: naïve 🥕\n\n  two  spaces", "<b>x</b>", " ", "\u2402"])
def test_any_text_survives_the_round_trip(text: str) -> None:
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_same_seed_gives_the_same_weights() -> None:
    tokenizer = tiny_tokenizer()
    first, again, other = (tiny_model(tokenizer, seed=s).state_dict() for s in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_saved_models_come_back_the_same(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer).eval()
    save_model(tmp_path, model, tokenizer)
    loaded, loaded_tokenizer = load_model(tmp_path)
    ids = torch.tensor([loaded_tokenizer("take knife")["input_ids"]])
    assert ids.tolist() == [tokenizer("take knife")["input_ids"]]
    with torch.inference_mode():
        assert torch.equal(loaded(ids).logits, model(ids).logits)
    assert loaded_tokenizer.chat_template == tokenizer.chat_template


def test_what_is_saved_stops_where_training_ended_turns(tmp_path: Path) -> None:
    """A base model of another end of text than its chat template's, as Qwen2.5's."""
    tokenizer = tiny_tokenizer()
    end_of_turn = tokenizer.eos_token_id
    tokenizer.add_special_tokens({"eos_token": "<|endoftext|>"})
    model = tiny_model(tokenizer)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    rows = tokenize_sft([GOOD], ChatFormat(tokenizer), max_length=512).rows
    optimisation = Optimisation(num_epochs=80, learning_rate=1e-2, batch_size=1)
    trained = train_sft(
        model.train(), tokenizer, rows, optimisation, output_dir=str(tmp_path / "t"), seed=0
    )
    save_model(tmp_path / "saved", trained.model, tokenizer)
    assert (tmp_path / "saved" / "chat_template.jinja").is_file()

    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    own = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert opened.generation_config.eos_token_id == [own.eos_token_id, end_of_turn]
    messages = [asdict(message) for message in GOOD.prompt]
    ids = own.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
    said = opened.generate(**ids, max_new_tokens=60, do_sample=False)[
        0, ids["input_ids"].shape[1] :
    ]
    assert own.decode(said) == f"{GOOD.steps[0].response}<|end|>"


def test_a_model_whose_turns_end_in_words_is_not_saved(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template.replace("<|end|>", " END. ")
    with pytest.raises(InvalidInput, match=r"does not mark the end .*' END. "):
        save_model(tmp_path, tiny_model(tokenizer), tokenizer)


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no config.json; give the directory of a causal LM"):
        load_model(tmp_path)


CODE = """
import pathlib
pathlib.Path({ran!r}).write_text("the directory's code ran")
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class Own(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = Own
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def with_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's directory of a type that transformers does not know, with the code for it; on
    standard input somebody says yes to everything."""
    folder = tmp_path / "model"
    tokenizer = tiny_tokenizer()
    save_model(folder, tiny_model(tokenizer), tokenizer)
    (folder / "own.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
    classes = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.OwnModel"}
    change(folder / "config.json", model_type="own", auto_map=classes)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 20))
    return folder


def change(file: Path, **keys: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


def test_a_models_own_code_is_named_and_not_run(with_code: Path) -> None:
    own = (
        r"model: config\.json names Python code of its own \(auto_map: .*own\.OwnModel.*never runs"
    )
    with pytest.raises(InvalidInput, match=own):
        load_model(with_code)
    with pytest.raises(InvalidInput, match=own):
        check_model_directory(with_code, max_length=8, optimisations=[])
    with pytest.raises(InvalidInput, match=own):
        (with_code / "generation_config.json").unlink()
        eos_ids_in(with_code)
    assert not (with_code.parent / "ran").exists()
    assert sys.stdin.read() == "y\n" * 20, "it asked"


def test_a_tokenizers_own_code_is_named_and_not_run(with_code: Path) -> None:
    names = {"AutoTokenizer": ["own.OwnTokenizer", "own.OwnTokenizer"]}
    change(with_code / "config.json", model_type="llama", auto_map={})
    change(with_code / "tokenizer_config.json", tokenizer_class="OwnTokenizer", auto_map=names)
    with pytest.raises(InvalidInput, match=r"tokenizer_config\.json names Python code of its own"):
        load_tokenizer(with_code)
    assert not (with_code.parent / "ran").exists()


def test_a_models_own_way_to_generate_is_not_run(with_code: Path) -> None:
    change(with_code / "config.json", model_type="llama", auto_map={})
    (with_code / "custom_generate").mkdir()
    (with_code / "own.py").rename(with_code / "custom_generate" / "generate.py")
    load_model(with_code)
    assert not (with_code.parent / "ran").exists()
    assert sys.stdin.read() == "y\n" * 20, "it asked"


def test_a_type_that_transformers_has_is_read_by_its_own_classes(with_code: Path) -> None:
    change(with_code / "config.json", model_type="llama")
    model, _ = load_model(with_code)
    assert type(model) is LlamaForCausalLM
    assert not (with_code.parent / "ran").exists()


def test_transformers_reads_directories_in_one_place() -> None:
    """`pretrained` sees to it that no code runs; a generation config is JSON alone, and adapters
    put on a model that is open already are JSON and weights."""
    package = Path(w2stree.__file__).parent
    calls = {
        (file.relative_to(package).as_posix(), call)
        for file in package.rglob("*.py")
        for call in re.findall(r"(\w+)\.from_pretrained\([a-z\n]", file.read_text(encoding="utf-8"))
    }
    assert calls == {
        ("policies/pretrained.py", "loader"),
        ("policies/question.py", "GenerationConfig"),
        ("training/adapters.py", "PeftModel"),
        ("training/directory.py", "GenerationConfig"),
    }
