"""The seeds that the stages of one experiment draw by, all made of its own."""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, what: str) -> int:
    """For what is drawn, below 2**32; two names draw apart."""
    digest = hashlib.sha256(f"{seed}/{what}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
