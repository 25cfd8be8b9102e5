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
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from w2stree.experiment.changes import changes
from w2stree.experiment.config import Config
from w2stree.experiment.grid.plan import Plan
from w2stree.experiment.grid.results import Result

Place = tuple[str, str, str]
"""World, variant, method."""


def unequal_copies(plan: Plan, by_place: Mapping[Place, Mapping[int, Result]]) -> list[str]:
    """A sentence for each world and variant in which two methods' cells of one seed stand on
    different outputs of a stage; and for each contrast of two variants whose sides do, of a stage
    that both variants make with the same settings.

    Which settings a stage has is asked of the stages, which train: without the extra `train` the
    sentence is that this is not told.
    """
    try:
        across = list(_across(plan, by_place))
    except ModuleNotFoundError as lacking:
        across = [
            "Variants differ in outputs of stages that both have: by their settings, or since they "
            f"were made again. Which is not told without {lacking.name}: "
            "pip install 'w2stree[train]'."
        ]
    return [*_within(by_place), *across]


def _within(by_place: Mapping[Place, Mapping[int, Result]]) -> Iterator[str]:
    made: dict[tuple[str, str], dict[tuple[str, int], set[str]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for (world, variant, _), seeds in by_place.items():
        for seed, result in seeds.items():
            for stage, outputs in _outputs(result).items():
                made[world, variant][stage, seed].add(outputs)
    for (world, variant), stages in made.items():
        if twice := [place for place, outputs in stages.items() if len(outputs) > 1]:
            yield f"{world}, {variant}: not all methods stand {_told(twice)}"


def _across(plan: Plan, by_place: Mapping[Place, Mapping[int, Result]]) -> Iterator[str]:
    for contrast in plan.grid.asked():
        for world in plan.sources:
            places = [(world, str(side.variant), side.method) for side in contrast.sides]
            if places[0][1] == places[1][1]:  # of one variant: told above
                continue
            one, other = (by_place.get(place, {}) for place in places)
            unequal = {
                seed: _unequal(one[seed], other[seed]) for seed in sorted(one.keys() & other.keys())
            }
            variants = (plan.variants[world, variant] for _, variant, _ in places)
            equal = _of_equal_settings({s for found in unequal.values() for s in found}, *variants)
            twice = [(s, seed) for seed, found in unequal.items() for s in found if s in equal]
            if twice:
                yield f"{contrast} on {world}: its sides do not stand {_told(twice)}"


def _unequal(one: Result, other: Result) -> list[str]:
    """The stages that both have, of different outputs."""
    there = _outputs(other)
    return [s for s, outputs in _outputs(one).items() if there.get(s, outputs) != outputs]


def _of_equal_settings(names: Collection[str], one: Config, other: Config) -> set[str]:
    """Those of the stages that, with all that they need, read the same values of both."""
    if not names:
        return set()
    # Stages train: torch is waited for only where there is something to tell.
    from w2stree.experiment.stage_graph import leading_to, stages
    from w2stree.experiment.stages.context import Context

    listed = stages(Context(one, Path()))
    then, now, free = other.record(), one.record(), one.may_change()

    def is_equal(name: str) -> bool:
        reads = {key for spec, _ in leading_to([name], listed) for key in spec.reads}
        return not changes(then, now, of=reads, but=free)

    return {spec.name for spec, _ in listed if spec.name in names and is_equal(spec.name)}


def _outputs(result: Result) -> dict[str, str]:
    return {
        stage: str(record["outputs"])
        for stage, record in result.record["stages"].items()
        if record.get("outputs") is not None
    }


def _told(twice: Iterable[tuple[str, int]]) -> str:
    seeds = sorted({seed for _, seed in twice})
    names = list(dict.fromkeys(stage for stage, _ in twice))
    word = "seed" if len(seeds) == 1 else "seeds"
    return (
        f"on the same outputs of {', '.join(names)} ({word} "
        f"{', '.join(map(str, seeds))}): made again, or on another machine. A difference then "
        "holds luck of training that pairing by seed would have taken out; which have which: "
        "stages.NAME.outputs in the results' files."
    )
