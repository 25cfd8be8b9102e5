"""What each token of a vocabulary writes, as bytes.

A token may hold part of a character (byte-level BPE), a space that is drawn as `▁`
(SentencePiece), one byte (`<0xE2>`) or a whole phrase (an added token). As bytes they are alike:
a text is spelled by any tokens whose bytes join to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from w2stree.errors import InvalidInput

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Vocabulary:
    """`written[i]` is what token `i` writes; None for control tokens and ids without a token.

    Cost: one pass over the vocabulary (0.3 s for 150,000 tokens). Raises `InvalidInput` for
    tokenizers whose tokens do not stand for bytes of the text, and for those outside the
    `tokenizers` library, which do not say what theirs stand for.
    """

    def __init__(self, tokenizer: Any) -> None:
        write = _writer(tokenizer)
        added = tokenizer.added_tokens_decoder
        tokens = tokenizer.get_vocab()
        self.written: list[bytes | None] = [None] * (
            1 + max([*tokens.values(), *added], default=-1)
        )
        for token, number in tokens.items():
            if number not in added:
                self.written[number] = write(token)
        for number, token in added.items():
            self.written[number] = None if token.special else token.content.encode()
        self._ids: dict[bytes, list[int]] = {}
        for number, written in enumerate(self.written):
            if written:
                self._ids.setdefault(written, []).append(number)
        self._longest = max(map(len, self._ids), default=0)
        self._has_all_bytes = all(bytes([byte]) in self._ids for byte in range(256))

    def __getitem__(self, token: int) -> bytes | None:
        """What a token writes; None too for ids that models have beyond the tokenizer's."""
        return self.written[token] if token < len(self.written) else None

    def joined(self, ids: Iterable[int]) -> bytes | None:
        """What a sequence of tokens writes; None if one of them writes nothing."""
        pieces = [self[token] for token in ids]
        return None if None in pieces else b"".join(filter(None, pieces))

    def beginnings(self, text: bytes) -> Iterable[int]:
        """The tokens that write a beginning of `text` whose rest can be written too.

        Cost: a look-up for each length; where the vocabulary lacks single bytes, one for each pair
        of places in the text.
        """
        rest_is_writable = None if self._has_all_bytes else self._writable(text)
        for length in range(1, min(len(text), self._longest) + 1):
            if rest_is_writable is None or rest_is_writable[length]:
                yield from self._ids.get(text[:length], ())

    def spelling(self, text: bytes) -> tuple[int, ...]:
        """A text in few tokens: at each place the longest, ties to the lowest id.

        For what is left of a text when the tokenizer's own spelling was not begun. Ends early
        where no token goes on.
        """
        ids: list[int] = []
        while text:
            found = list(self.beginnings(text))
            if not found:
                break
            ids.append(max(found, key=lambda token: (len(self.written[token] or b""), -token)))
            text = text[len(self.written[ids[-1]] or b"") :]
        return tuple(ids)

    def _writable(self, text: bytes) -> list[bool]:
        """Of each place in a text, whether there are tokens for what stands behind it."""
        writable = [False] * len(text) + [True]
        for place in reversed(range(len(text))):
            writable[place] = any(
                writable[end] and text[place:end] in self._ids
                for end in range(place + 1, min(len(text), place + self._longest) + 1)
            )
        return writable

    def controls(self) -> frozenset[int]:
        """The tokens that write nothing: marks of turns, of tools, of the end."""
        return frozenset(i for i, written in enumerate(self.written) if written is None)


def _writer(tokenizer: Any) -> Any:
    """The function from a token's name in the vocabulary to its bytes, or None for none."""
    name = tokenizer.name_or_path or type(tokenizer).__name__
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InvalidInput(
            f"the tokenizer of {name} is not of the tokenizers library, so what its tokens write "
            "is not known: use free decoding"
        )
    decoder = json.loads(backend.to_str())["decoder"]
    steps = [decoder, *decoder.get("decoders", ())] if decoder else []
    kinds = {step["type"] for step in steps}
    if "ByteLevel" in kinds:
        return _byte_level
    spaces = [step for step in steps if step["type"] in ("Metaspace", "Replace")]
    if spaces:
        mark = spaces[0].get("replacement") or spaces[0]["pattern"]["String"]
        has_bytes = "ByteFallback" in kinds
        return lambda token: _sentencepiece(token, mark, has_bytes=has_bytes)
    raise InvalidInput(
        f"the tokens of {name} do not stand for bytes of the text (its decoder is "
        f"{', '.join(sorted(kinds)) or 'none'}): use free decoding"
    )


def _sentencepiece(token: str, mark: str, *, has_bytes: bool) -> bytes:
    match = _BYTE_TOKEN.fullmatch(token) if has_bytes else None
    return bytes([int(match[1], 16)]) if match else token.replace(mark, " ").encode()


def _byte_level(token: str) -> bytes | None:
    try:
        return bytes([_BYTES[character] for character in token])
    except KeyError:
        return None


def _drawn_bytes() -> dict[str, int]:
    """GPT-2's table: bytes that are visible Latin-1 draw themselves, the others U+0100 and on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    drawn = {chr(byte): byte for byte in visible}
    return drawn | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


_BYTES = _drawn_bytes()
