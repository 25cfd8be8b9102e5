"""Stages that compared methods share, and that were made more than once.

                         ┌─ recombined_sft    difference by seed: one start, its luck taken out
    sft_strong 557a… ────┴─ best_of_m
                            |                 two starts, equal settings: the luck of both left in
    sft_strong 788d… ────── failure_sft

On one machine a second copy is equal to the digit. On another one the last digits of sums differ,
and with them a token now and then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from w2stree.experiment.grid.results import Result

Place = tuple[str, str, str]
"""World, variant, method."""


def unequal_copies(by_place: Mapping[Place, Mapping[int, Result]]) -> list[str]:
    """A sentence for each world and variant in which two methods' cells of one seed stand on
    different outputs of a stage. Where settings differ, between variants, outputs may: nothing is
    said of those."""
    made: dict[tuple[str, str], dict[tuple[str, int], set[str]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for (world, variant, _), seeds in by_place.items():
        for seed, result in seeds.items():
            for stage, record in result.record["stages"].items():
                if (outputs := record.get("outputs")) is not None:
                    made[world, variant][stage, seed].add(str(outputs))
    return [
        f"{world}, {variant}: {_told(twice)}"
        for (world, variant), stages in made.items()
        if (twice := [place for place, outputs in stages.items() if len(outputs) > 1])
    ]


def _told(twice: Iterable[tuple[str, int]]) -> str:
    seeds = sorted({seed for _, seed in twice})
    names = list(dict.fromkeys(stage for stage, _ in twice))
    word = "seed" if len(seeds) == 1 else "seeds"
    return (
        f"not all methods stand on the same outputs of {', '.join(names)} ({word} "
        f"{', '.join(map(str, seeds))}): made again, or on another machine. A difference then "
        "holds luck of training that pairing by seed would have taken out; which have which: "
        "stages.NAME.outputs in the results' files."
    )
