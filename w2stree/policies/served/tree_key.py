"""The key that the requests of one tree carry, for a router that keeps them at one replica.

Runs of a task open alike, and each request begins with all of the one before it: the replica that
answered one has the others' beginning in its prefix cache.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Message

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_TAKEN = frozenset(
    ("authorization", "connection", "content-length", "content-type", "host", "transfer-encoding")
)


def checked_header(name: str) -> str:
    """The name of a header; raises `InvalidInput` for what cannot be one, or is another's."""
    if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        raise InvalidInput(
            f"tree_header is {name!r}; give the name of the header that the router looks at, such "
            "as X-Session-ID"
        )
    return name


def tree_key(prompt: Sequence[Message]) -> str:
    """One of all runs that open alike: a digest of their opening, of 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for message in prompt:
        for text in (message.role, message.content):
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
