"""`ray`, `ray://auto`, `ray://HOST:PORT`: which Ray an `--engine` means."""

from __future__ import annotations

from w2stree.errors import InvalidInput
from w2stree.shorten import visible


def ray_address(engine: str, *, known: str) -> str | None:
    """What `connected` is given: "auto", "ray://HOST:PORT"; None: what RAY_ADDRESS says, or a Ray
    of its own. Raises `InvalidInput` for what is no Ray; `known`: what there is to be used."""
    kind, separator, address = engine.partition("://")
    if kind != "ray" or (separator and not address):
        raise InvalidInput(f"--engine {visible(engine)}: use {known}")
    if not address:
        return None
    return address if address == "auto" else engine
