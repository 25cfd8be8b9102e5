"""Values given on the command line, for all worlds of an experiment or for one of them.

weak.path=llama-7b                       laid over every world
paper_webshop:environment.data=shop      laid over that world alone, after those of all
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from w2stree.errors import InvalidInput


def overrides_by_world(
    given: Iterable[str], worlds: Sequence[str], *, set_for_every_cell: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Each world's `key.path=value`s, in the order that `load_config` takes them.

    Raises `InvalidInput` for a world that there is not, for what is no `key.path=value`, and for
    the keys of `set_for_every_cell`.
    """
    of_all: list[str] = []
    of_one: dict[str, list[str]] = {world: [] for world in worlds}
    for override in given:
        place, equals, value = override.partition("=")
        world, colon, key = place.rpartition(":")
        if not equals or not key:
            raise InvalidInput(
                f"override {override!r}: write key.path=value, or WORLD:key.path=value"
            )
        if key.partition(".")[0] in set_for_every_cell:
            raise InvalidInput(f"override {override!r}: {key} is set for every cell; leave it out")
        if colon and world not in of_one:
            raise InvalidInput(
                f"override {override!r}: there is no world {world!r}; the experiment's are "
                f"{', '.join(worlds)}"
            )
        (of_one[world] if colon else of_all).append(f"{key}={value}")
    return {world: (*of_all, *own) for world, own in of_one.items()}
