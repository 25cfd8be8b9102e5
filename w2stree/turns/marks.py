"""Control tokens, and texts that spell them without meaning them.

    message      A note: <|im_end|>
    hidden       A note: ␂2␂                         no template sees a mark
    rendered     <|im_start|>user⏎A note: ␂2␂<|im_end|>
    read         ‹im_start›user⏎A note: < | im _end | >‹im_end›

A page, a file or a product's name can spell what ends a turn or begins the agent's. Only the
template's own marks become control tokens; everybody else's words stay words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from w2stree.errors import InvalidInput

# Noncharacters: no text has them, no normaliser touches them.
_FENCE = "\U0010fffe"  # around a hidden mark
_MEANT = "\U0010ffff"  # around a mark that the template means, while a hidden one is read
_NO_TEXT = re.compile(f"[\ud800-\udfff{_FENCE}{_MEANT}]")
_HIDDEN = re.compile(f"{_FENCE}(\\d+){_FENCE}")
# <|user|> <tool_call> [INST] <think>; but <b> and <table>, which Gemma has as tokens, are words.
_BRACKETED = re.compile(
    r"<[^\s<>]*[|\uff5c_][^\s<>]*>|\[\S+\]|</?\w*(?:think|thought|reason)\w*>", re.IGNORECASE
)


class Marks:
    """The control tokens of a tokenizer under a template, and its reading of rendered chats.

    A control token is a special token, or one of the added tokens that stands in the template or
    looks like a mark (`<think>`, `<tool_call>`). Other added tokens are words: an environment's
    phrases, runs of spaces, HTML.

    Raises `InvalidInput` for a tokenizer that is not of the tokenizers library.
    """

    def __init__(self, tokenizer: Any, template: str) -> None:
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise InvalidInput(
                f"{type(tokenizer).__name__} is not of the tokenizers library, so nobody can say "
                "which texts it takes for control tokens: give the model's directory a "
                "tokenizer.json, as AutoTokenizer.from_pretrained(…).save_pretrained(…) writes "
                "one for most models"
            )
        self._tokenizer = tokenizer
        added = [t for t in tokenizer.added_tokens_decoder.values() if t.content.strip()]
        special = {t.content for t in added if t.special} | set(tokenizer.all_special_tokens)
        self._all = sorted(
            special
            | {t.content for t in added if t.content in template or _BRACKETED.fullmatch(t.content)}
        )
        self._number = {mark: number for number, mark in enumerate(self._all)}
        self._any = _longest_first(self._all)
        self._special = _longest_first(special)

    def find_last(self, text: str, end: int | None = None) -> re.Match[str] | None:
        """The last control token that `text[:end]` spells whole."""
        found = list(self._any.finditer(text, 0, len(text) if end is None else end))
        return found[-1] if found else None

    def find_first(self, text: str) -> re.Match[str] | None:
        """The first control token that a text spells."""
        return self._any.search(text)

    def find_special(self, text: str, start: int, end: int | None = None) -> re.Match[str] | None:
        """The last special token in `text[start:end]`; without an `end`, the first from `start`."""
        if end is None:
            return self._special.search(text, start)
        found = list(self._special.finditer(text, start, end))
        return found[-1] if found else None

    def hide(self, text: str, *, of_agent: bool = False) -> str:
        """A message's text with the marks in it hidden, to be rendered and then read by `ids`.

        The agent's own words may have marks that are not special, as `<think>`: what a model says
        that is not a word either. Noncharacters of ours and halves of surrogate pairs, which no
        tokenizer reads, are replaced as Unicode would have it.
        """
        pattern = self._special if of_agent else self._any
        text = _NO_TEXT.sub("\ufffd", text)
        return pattern.sub(lambda m: f"{_FENCE}{self._number[m[0]]}{_FENCE}", text)

    def shown(self, text: str) -> str:
        """A rendered text as people read it: nothing hidden."""
        return _HIDDEN.sub(lambda m: self._all[int(m[1])], text)

    def ids(self, rendered: str) -> list[int]:
        """Ids of a rendered text: its marks are control tokens, hidden ones ordinary text."""
        if _FENCE not in rendered:
            return list(self._tokenizer(rendered, add_special_tokens=False)["input_ids"])
        renamed, id_of, controls = self._renamed
        meant = self._any.sub(lambda m: f"{_MEANT}{self._number[m[0]]}{_MEANT}", rendered)
        ids = renamed.encode(self.shown(meant), add_special_tokens=False).ids
        if spelled := [token for token in ids if token not in id_of and token in controls]:
            mark = self._tokenizer.convert_ids_to_tokens(spelled[0])
            raise InvalidInput(
                f"a text spells {mark!r}, which this tokenizer takes for a control token however "
                "it is written: take it out of the text"
            )
        return [id_of.get(token, token) for token in ids]

    @cached_property
    def _renamed(self) -> tuple[Any, dict[int, int], frozenset[int]]:
        """The tokenizer with its control tokens under names that no text has; what its ids are
        here, since the library numbers renamed tokens anew; and the ids of control tokens."""
        from tokenizers import Tokenizer

        state, model = serialised(self._tokenizer)
        id_of, controls = {}, set()
        for token in state["added_tokens"]:
            number = self._number.get(token["content"])
            if number is not None:
                token["content"] = f"{_MEANT}{number}{_MEANT}"
                controls.add(token["id"])
            id_of[token["content"]] = token["id"]
        renamed: Any = Tokenizer.from_str(f"{json.dumps(state)[:-1]}{model}")
        renamed.no_truncation()
        renamed.no_padding()
        own_id = {renamed.token_to_id(name): number for name, number in id_of.items()}
        return renamed, own_id, frozenset(controls)


def serialised(tokenizer: Any) -> tuple[dict[str, Any], str]:
    """A tokenizer's `tokenizer.json` in two: all but the model, read, and the model's JSON as the
    rest of it. The model is all of its size, and takes seconds to read and to write."""
    text = tokenizer.backend_tokenizer.to_str()
    # In a token's content the quotes would be escaped.
    begin = text.index(',"model":{')
    return json.loads(f"{text[:begin]}}}"), text[begin:]


def _longest_first(marks: Iterable[str]) -> re.Pattern[str]:
    """Any of the marks, as the tokenizer finds them: at each place the longest."""
    ordered = sorted(marks, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered)) or "(?!)")
