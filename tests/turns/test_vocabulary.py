"""What tokens write: the bytes of a text, whichever tokenizer cut it up."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")

from support.tiny_models import tiny_tokenizer
from support.tokenizers import byte_level, sentencepiece

from w2stree.errors import InvalidInput
from w2stree.turns.vocabulary import Vocabulary

pytestmark = pytest.mark.train
TEXTS = [
    "Action: go north",
    "café\n\n ☕ 素晴らしい",
    "  two  spaces ",
    "a\tb\r\n",
    "🙂 go to the café",
]


@pytest.mark.parametrize("tokenizer", [byte_level(), tiny_tokenizer()], ids=["bytes", "phrases"])
def test_byte_level_ids_write_their_text(tokenizer: Any) -> None:
    vocabulary = Vocabulary(tokenizer)
    for text in TEXTS:
        assert vocabulary.joined(tokenizer(text)["input_ids"]) == text.encode()


def test_sentencepiece_ids_write_their_text_and_the_space_before_it() -> None:
    tokenizer = sentencepiece()
    vocabulary = Vocabulary(tokenizer)
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert vocabulary.joined(ids) == f" {text.removeprefix(chr(32))}".encode()


def test_marks_write_nothing_and_added_words_what_they_say() -> None:
    tokenizer = byte_level()
    vocabulary = Vocabulary(tokenizer)
    assert vocabulary.controls() == {0, 1, 2}
    assert vocabulary[len(tokenizer)] is None, "models have rows beyond their tokenizer's"
    assert vocabulary[tokenizer.convert_tokens_to_ids(" go to the")] == b" go to the"


def test_beginnings_are_all_tokens_that_a_text_begins_with() -> None:
    tokenizer = byte_level()
    vocabulary = Vocabulary(tokenizer)
    text = " go to the café".encode()
    found = set(vocabulary.beginnings(text))
    assert found == {
        token
        for token in range(len(tokenizer))
        if (written := vocabulary[token]) and text.startswith(written)
    }
    assert tokenizer.convert_tokens_to_ids(" go to the") in found


def test_without_single_bytes_only_beginnings_with_a_way_on_are_offered() -> None:
    tokenizer = sentencepiece(has_bytes=False)
    vocabulary = Vocabulary(tokenizer)
    written = {vocabulary[token] for token in vocabulary.beginnings(" café".encode())}
    assert b" caf" in written
    without = {vocabulary[token] for token in vocabulary.beginnings(" cafè".encode())}
    assert without == set(), "no token writes è"


def test_tokenizers_whose_tokens_are_no_bytes_are_refused() -> None:
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordPiece({"[UNK]": 0, "go": 1}, unk_token="[UNK]"))
    words.decoder = decoders.WordPiece()
    with pytest.raises(InvalidInput, match=r"decoder is WordPiece.*free decoding"):
        Vocabulary(PreTrainedTokenizerFast(tokenizer_object=words))
