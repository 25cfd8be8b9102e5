"""A server's key: read from an environment variable, sent to that server, said to nobody.

MY_KEY=sk-abc…  ──>  Authorization: Bearer sk-abc…
                     "500: … Authorization: Bearer sk-abc…"  ──>  "500: … [redacted]"
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from w2stree.errors import InvalidInput

REDACTED = "[redacted]"
_MIN_PART = 8
"""So many characters of a key in a row are of the key; fewer come by chance."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIALS = re.compile(
    r"""(authorization|(?:x-)?api[-_]key|x-auth-token|cookie)\\?["']?\s*[:=]\s*\\?["']?"""
    r"""(?:(?:bearer|basic|token|digest)\s+)?[^\s"'\\<>,;&]+|bearer\s+(?=\S*\d)[^\s"'\\<>,;&]{8,}""",
    re.IGNORECASE,
)
"""A header or a field that holds a key, whosever it is."""


def refuse_no_variable(name: str) -> None:
    """Raises `InvalidInput` where `name` cannot be an environment variable's. It is not repeated:
    it may be the key itself."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "api_key_env is no name of an environment variable (it is not repeated here, in case "
            "it is the key itself): export MY_KEY=… and give MY_KEY"
        )


def read_key(name: str | None) -> str | None:
    """The key in the variable `name`, without white space around it; None without a name.

    Raises `InvalidInput` for a variable that is not set, whose name is not repeated, and for a key
    that no header can hold.
    """
    if name is None:
        return None
    refuse_no_variable(name)
    key = os.environ.get(name, "").strip()
    if not key:
        raise InvalidInput(
            "the environment variable that api_key_env names is not set (its name is not repeated "
            "here, in case it is the key itself): export MY_KEY=… and give MY_KEY"
        )
    if bad := [i for i, character in enumerate(key) if not "!" <= character <= "~"]:
        raise InvalidInput(
            f"the key in ${name} has a line break, a space or a character beyond ASCII in it "
            f"(character {bad[0] + 1} of {len(key)}): no header can hold it"
        )
    return key


class Redaction:
    """Takes a key out of texts: whole or in part, as it is or encoded for URLs or in base64, and
    whatever stands in headers of credentials."""

    def __init__(self, key: str | None) -> None:
        self._parts: dict[int, set[str]] = {}
        for form in () if key is None else _forms(key):
            size = min(_MIN_PART, len(form))
            parts = self._parts.setdefault(size, set())
            parts.update(form[i : i + size] for i in range(len(form) - size + 1))

    def __call__(self, text: str) -> str:
        """`text` with `REDACTED` in their place; time linear in its length."""
        for size, parts in self._parts.items():
            text = _without(text, size, parts)
        return _CREDENTIALS.sub(_kept, text)


def _kept(found: re.Match[str]) -> str:
    return f"{found[1]}: {REDACTED}" if found[1] else REDACTED


def _forms(key: str) -> Iterator[str]:
    yield from {key, quote(key, safe=""), quote_plus(key)}
    for before in range(3):  # base64 writes three bytes at a time: what stands before shifts it
        padded = b"\0" * before + key.encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # The characters at either end hold bits of the neighbours, too.
            inner = encode(padded).decode().rstrip("=")[before and before + 1 :]
            if len(key) >= _MIN_PART:
                yield inner[: len(inner) - (len(padded) % 3 > 0)]


def _without(text: str, size: int, parts: set[str]) -> str:
    """`text` with `REDACTED` for each run of characters that `parts`, all of one size, cover."""
    kept: list[str] = []
    start = end = done = 0  # of the run under way; up to where the text has been taken over
    for i in range(len(text) - size + 1):
        if text[i : i + size] in parts:
            if i > end:
                if end > start:
                    kept += (text[done:start], REDACTED)
                    done = end
                start = i
            end = i + size
    if end > start:
        kept += (text[done:start], REDACTED)
        done = end
    return "".join((*kept, text[done:]))
