"""Small models: a tokenizer that loses nothing, weights that follow the seed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers")

import torch
from support.tiny_models import tiny_model, tiny_tokenizer

from w2stree.errors import InvalidInput
from w2stree.training.models import load_model, save_model, train_tokenizer

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


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no config.json; give the directory of a causal LM"):
        load_model(tmp_path)
