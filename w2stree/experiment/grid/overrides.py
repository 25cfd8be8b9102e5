"""Values given on the command line, for all worlds of an experiment or for one of them.

weak.path=llama-7b                       laid over every world
paper_webshop:environment.data=shop      laid over that world alone, in place of one of all
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from w2stree.errors import InvalidInput


def overrides_by_world(
    given: Iterable[str], worlds: Sequence[str], *, set_for_every_cell: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Each world's `key.path=value`s, in the order that `load_config` takes them.

    Raises `InvalidInput` for a world that there is not, for what is no `key.path=value`, and for
    keys of `set_for_every_cell` and below them, which would be lost.
    """
    of_all: list[tuple[str, str]] = []
    of_one: dict[str, list[tuple[str, str]]] = {world: [] for world in worlds}
    for override in given:
        place, equals, value = override.partition("=")
        world, colon, key = place.rpartition(":")
        if not equals or not key:
            raise InvalidInput(
                f"override {override!r}: write key.path=value, or WORLD:key.path=value"
            )
        if _is_at_or_below(key, set_for_every_cell):
            raise InvalidInput(f"override {override!r}: {key} is set for every cell; leave it out")
        if colon and world not in of_one:
            raise InvalidInput(
                f"override {override!r}: there is no world {world!r}; the experiment's are "
                f"{', '.join(worlds)}"
            )
        (of_one[world] if colon else of_all).append((key, value))
    laid_over = {}
    for world, own in of_one.items():
        replaced = [key for key, _ in own]
        shared = [(key, value) for key, value in of_all if not _is_at_or_below(key, replaced)]
        laid_over[world] = tuple(f"{key}={value}" for key, value in (*shared, *own))
    return laid_over


def _is_at_or_below(key: str, others: Collection[str]) -> bool:
    return any(f"{key}.".startswith(f"{other}.") for other in others)


def keys_of_all(variants: Collection[Collection[str]]) -> set[str]:
    """The keys that every variant sets, by themselves or with a section that they are of: what is
    laid under them is seen in no cell."""
    return {
        key
        for keys in variants
        for key in keys
        if all(_is_at_or_below(key, others) for others in variants)
    }
