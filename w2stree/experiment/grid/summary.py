"""From results to numbers: means, paired differences, PGR, each over seeds and tasks at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.evaluation import crossed_estimate, holm
from w2stree.evaluation.cells import Floats
from w2stree.experiment.grid.analysed import Analysed, find_analyses, why_not_run
from w2stree.experiment.grid.cells import Cell
from w2stree.experiment.grid.copies import unequal_copies
from w2stree.experiment.grid.plan import Contrast, Plan
from w2stree.experiment.grid.results import Result, Results
from w2stree.experiment.methods import METHODS
from w2stree.experiment.over_seeds import SEED, SeedResult, row_over_seeds
from w2stree.report.grid import GridContrast, GridPanel, GridReport
from w2stree.shorten import visible
from w2stree.trajectories.returns import at_least

_MANY_ERRORS = 0.01  # of a row's episodes: named (docs/results/claims.md)

_OF_RETURNS = (
    "Intervals hold for other training seeds and other test tasks: seeds and tasks are "
    "resampled, crossed and paired, and scaled to Student's t. A row with one seed has an "
    "interval over tasks alone, and no p-value.",
    "p, Holm: adjusted over all contrasts asked, those that have not run yet among them; where "
    "it is at most 0.05 a contrast gains or loses. Differences that are not listed under What "
    "was asked carry no claim.",
    "A contrast is over the seeds that both of its methods have.",
    "PGR is (method - weak) / (ceiling - weak), and over strong (method - strong) / (ceiling "
    "- strong); a dash where the gap's interval touches 0, or where a part of it has not run.",
)


@dataclass(frozen=True, slots=True)
class _Found:
    """Results by place and seed; and what has none, with the reason."""

    plan: Plan
    by_place: Mapping[tuple[str, str, str], Mapping[int, Result]]
    not_run: Mapping[Cell, str]

    def of(self, world: str, variant: str, method: str) -> Mapping[int, Result]:
        return self.by_place.get((world, variant, method), {})


def summarise(plan: Plan, results: Results) -> GridReport:
    """The report of an experiment from its results' files alone.

    A result of another configuration than today's does not count. Raises `InvalidInput` where
    results of one world and variant are of other tasks, and `RunDirectoryError` for a torn file.
    """
    found = _find(plan, results)
    analysed = find_analyses(plan, results)
    panels = list(_panels(found))
    num_done = sum(len(seeds) for seeds in found.by_place.values())
    return GridReport(
        name=plan.grid.name,
        question=plan.grid.question,
        num_cells=num_done + len(found.not_run),
        num_done=num_done,
        num_analyses=analysed.num_done + len(analysed.not_run),
        num_analyses_done=analysed.num_done,
        panels=panels,
        contrasts=_contrasts(found),
        analyses=analysed.tables(),
        not_run=[*_not_run(found), *analysed.not_run_in_words()],
        notes=[*_notes(found, analysed), *_of_errors(panels)],
        record={
            "experiment": plan.grid.model_dump(mode="json"),
            "worlds": {
                world: {"seeds": config.seeds, "config": config.model_dump(mode="json")}
                for world, config in plan.worlds.items()
            },
            "overrides": plan.told_overrides,
            "dev": _dev(found),
            "versions": _versions(found, analysed),
        },
    )


def _find(plan: Plan, results: Results) -> _Found:
    by_place: dict[tuple[str, str, str], dict[int, Result]] = defaultdict(dict)
    not_run: dict[Cell, str] = {}
    for cell in plan.cells():
        result = results.read(cell)
        if result is not None and result.is_of(plan.config(cell)):
            by_place[cell.world, cell.variant, cell.method][cell.seed] = result
        else:
            not_run[cell] = why_not_run(results, cell, is_there=result is not None)
    found = _Found(plan, by_place, not_run)
    for world, variant in plan.variants:
        _refuse_other_tasks(found, world, variant)
    _refuse_other_counts(found)
    return found


def _refuse_other_tasks(found: _Found, world: str, variant: str) -> None:
    first: Result | None = None
    for method in found.plan.grid.methods:
        for result in found.of(world, variant, method).values():
            first = first or result
            if result.tasks != first.tasks:
                raise InvalidInput(
                    f"{visible(str(result.path))} is of other tasks than "
                    f"{visible(str(first.path))} ({result.tasks}, {first.tasks}): they cannot be "
                    "compared; delete the one that is out of date and run the experiment again"
                )


def _refuse_other_counts(found: _Found) -> None:
    """Of the same tasks there are as many returns, whatever played them."""
    first: dict[tuple[str, str, str], Result] = {}
    for (world, variant, _), seeds in found.by_place.items():
        for result in seeds.values():
            for panel in found.plan.panels(world, variant):
                before = first.setdefault((world, result.tasks, panel), result)
                count, wanted = (len(r.panel(panel).returns) for r in (result, before))
                if count != wanted:
                    raise InvalidInput(
                        f"{visible(str(result.path))}: panels.{panel}.returns: has {count}, and "
                        f"{visible(str(before.path))} has {wanted} of the same tasks; put the "
                        "changed one back from a copy, or delete it and run the experiment again"
                    )


def _panels(found: _Found) -> Iterator[GridPanel]:
    for world, variant in found.plan.variants:
        for panel in found.plan.panels(world, variant):
            results = {
                method: {
                    seed: _of_a_seed(result, method, seed, panel) for seed, result in seeds.items()
                }
                for method in _in_the_table_s_order(found.plan.grid.methods)
                if (seeds := found.of(world, variant, method))
            }
            rows = [
                row_over_seeds(
                    method, _label(method), results, num_bootstrap=found.plan.grid.num_bootstrap
                )
                for method in results
            ]
            if rows:
                yield GridPanel(world, variant, panel, rows[0].avg_reward.num_tasks, rows)


def _in_the_table_s_order(methods: Sequence[str]) -> list[str]:
    known = [m.name for m in METHODS]
    return sorted(methods, key=lambda name: known.index(name) if name in known else len(known))


def _label(method: str) -> str:
    return next((m.label for m in METHODS if m.name == method), method)


def _of_a_seed(result: Result, method: str, seed: int, panel: str) -> SeedResult:
    played = result.panel(panel)
    return SeedResult(
        seed=seed,
        scored=played.scored,
        successes=np.array([float(at_least(r, result.threshold)) for r in played.scored]),
        num_errors=played.num_errors,
        mean_steps=played.mean_steps,
        training=result.record["training"],
        seconds=_own_seconds(result, method),
    )


def _contrasts(found: _Found) -> list[GridContrast]:
    """Of every world, variant and panel; the p-values of all are adjusted together, those that
    have not run yet among them."""
    asked = [
        _contrast(found, contrast, world, variant, panel)
        for contrast in found.plan.grid.asked()
        for world in found.plan.sources
        for variant in (found.plan.grid.variants if contrast.one.variant is None else ("",))
        for panel in found.plan.panels(world, *(side.variant or variant for side in contrast.sides))
    ]
    adjusted = holm({i: None if c.estimate is None else c.estimate.p for i, c in enumerate(asked)})
    return [replace(contrast, p_holm=adjusted[i]) for i, contrast in enumerate(asked)]


def _contrast(
    found: _Found, contrast: Contrast, world: str, variant: str, panel: str
) -> GridContrast:
    one, other = (found.of(world, side.variant or variant, side.method) for side in contrast.sides)
    seeds = _common(one, other)
    estimate, reason = None, ""
    if not seeds:
        reason = "no seed has both"
    elif one[seeds[0]].tasks != other[seeds[0]].tasks:
        reason = "the variants have other tasks"
    else:
        cells = _cells(one, seeds, panel) - _cells(other, seeds, panel)
        estimate = crossed_estimate(cells, **_number(found))
    return GridContrast(
        world=world,
        variant=variant,
        panel=panel,
        contrast=str(contrast),
        seeds=seeds,
        estimate=estimate,
        p_holm=None,
        reason=reason,
    )


def _not_run(found: _Found) -> list[str]:
    """A sentence for each method, world, variant and reason, with its seeds."""
    together: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    for cell, reason in found.not_run.items():
        together[cell.method, cell.world, cell.variant, reason].append(cell.seed)
    lines = []
    for (method, world, variant, reason), seeds in together.items():
        named = f" ({variant})" if len(found.plan.grid.variants) > 1 else ""
        numbers = ", ".join(map(str, seeds))
        why = f": {reason}" if reason else ""
        word = "seed" if len(seeds) == 1 else "seeds"
        lines.append(f"{method} on {world}{named}, {word} {numbers}{why}")
    for method, world in found.plan.left_out():
        lines.append(f"{method} on {world}: not asked, the configuration has no section for it")
    return lines


def _notes(found: _Found, analysed: Analysed) -> list[str]:
    notes = [*(_OF_RETURNS if found.plan.grid.methods else ()), *analysed.notes()]
    for world in found.plan.sources:
        said = [
            (variant, _shared_seeds(found.plan.variants[world, variant].seeds))
            for variant in found.plan.grid.variants
        ]
        if len({text for _, text in said}) == 1:
            notes.append(f"{world}: {said[0][1]}")
        else:
            notes += [f"{world}, {variant}: {text}" for variant, text in said]
    notes += [
        f"{world}: of the command line, and not of its file: {visible('; '.join(given))}."
        for world, given in found.plan.told_overrides.items()
    ]
    notes += unequal_copies(found.plan, found.by_place)
    if other := {name: seen for name, seen in _versions(found, analysed).items() if len(seen) > 1}:
        told = "; ".join(f"{name} {' and '.join(seen)}" for name, seen in other.items())
        notes.append(f"Results were made with different versions: {told}.")
    return notes


def _shared_seeds(seeds: Mapping[str, int]) -> str:
    shared: dict[int, list[str]] = defaultdict(list)
    for stage, seed in seeds.items():
        shared[seed].append(stage)
    said = "; ".join(f"{', '.join(names)} (seed {seed})" for seed, names in shared.items())
    return "the seeds share their tasks and demonstrations" + (
        f", and {said}: the spread over seeds is that of the other stages." if said else "."
    )


def _of_errors(panels: Sequence[GridPanel]) -> Iterator[str]:
    """A sentence of all, and one for each row with more than one in a hundred."""
    rows = [(panel, row) for panel in panels for row in panel.rows]
    if errors := sum(row.num_errors for _, row in rows):
        yield f"{errors} episodes ended in an error and count as 0."
    for panel, row in rows:
        played = panel.num_tasks * len(row.seeds)
        if row.num_errors > played * _MANY_ERRORS:
            yield (
                f"{row.method} on {', '.join((panel.world, panel.variant, panel.panel))}: "
                f"{row.num_errors} of {played} episodes ended in an error."
            )


def _dev(found: _Found) -> list[dict[str, Any]]:
    """Mean returns on the dev panel: what settings are chosen by, in no table."""
    return [
        {
            **dict(zip(("world", "variant", "method"), place, strict=True)),
            "by_seed": {seed: r.record["dev"]["avg_reward"] for seed, r in sorted(seeds.items())},
        }
        for place, seeds in found.by_place.items()
        if all(result.record.get("dev") for result in seeds.values())
    ]


def _versions(found: _Found, analysed: Analysed) -> dict[str, list[str]]:
    seen: dict[str, set[str]] = defaultdict(set)
    results = [result for seeds in found.by_place.values() for result in seeds.values()]
    for record in (*(result.record for result in results), *analysed.records()):
        for name, version in record["versions"].items():
            seen[name].add(str(version))
    return {name: sorted(versions) for name, versions in sorted(seen.items())}


def _cells(results: Mapping[int, Result], seeds: Sequence[int], panel: str) -> Floats:
    """Returns, (num_seeds, num_tasks)."""
    return np.stack([results[seed].panel(panel).scored for seed in seeds])


def _common(*results: Mapping[int, Result]) -> list[int]:
    return sorted(set.intersection(*(set(seeds) for seeds in results)))


def _number(found: _Found) -> dict[str, int]:
    return {"num_bootstrap": found.plan.grid.num_bootstrap, "seed": SEED}


def _own_seconds(result: Result, method: str) -> float:
    stages = result.record["stages"]
    own = (stages[name]["seconds"] for name in (method, f"evaluate_{method}") if name in stages)
    return sum(seconds or 0.0 for seconds in own)
