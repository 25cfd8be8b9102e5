"""A method's row of a table, over the seeds that have it; paired with others seed by seed.

          seed 0   seed 1   seed 2
weak         x        x        x      ┐
strong       x        x               │   tree_dpo's own mean   seeds 0, 1, 2
tree_dpo     x        x        x      │   over strong           seeds 0, 1
ceiling               x        x      ┘   pgr                   seeds 1, 2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from w2stree.evaluation import CrossedEstimate, GapRecovered, crossed_estimate, gap_recovered
from w2stree.evaluation.cells import Floats
from w2stree.experiment.methods import ceiling, sft
from w2stree.report.grid import GridRow

SEED = 0
"""Of all resamples: methods of a table meet the same ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    """What one seed of a method came to on one panel. `scored` and `successes` are by task, in one
    order for all; an episode that ended in an error counts 0."""

    seed: int
    scored: Floats
    successes: Floats
    num_errors: int
    mean_steps: float
    training: Mapping[str, float]
    seconds: float


Seeds = Mapping[int, SeedResult]
"""A method's, by whatever tells them apart, the same for all methods; rows are in its order."""


def row_over_seeds(
    method: str, label: str, results: Mapping[str, Seeds], *, num_bootstrap: int
) -> GridRow:
    """The method's row, of the `results` of all methods. Raises `KeyError` for one without any,
    and as `crossed_estimate`."""
    own, strong = results[method], results.get(sft.STRONG.name, {})
    keys, paired = sorted(own), _common(own, strong)
    of = [own[key] for key in keys]
    returns = _cells(own, keys)
    number = {"num_bootstrap": num_bootstrap, "seed": SEED}
    return GridRow(
        method=method,
        label=label,
        seeds=[result.seed for result in of],
        avg_reward=_within_0_1(crossed_estimate(returns, **number)),
        sd_over_seeds=float(returns.mean(axis=1).std(ddof=1)) if len(of) > 1 else None,
        success_rate=_within_0_1(crossed_estimate(np.stack([r.successes for r in of]), **number)),
        over_strong=None
        if method == sft.STRONG.name or not paired
        else crossed_estimate(_cells(own, paired) - _cells(strong, paired), **number),
        pgr=_gap(own, results, sft.WEAK.name),
        pgr_over_strong=_gap(own, results, sft.STRONG.name),
        num_errors=sum(result.num_errors for result in of),
        mean_steps=fmean(result.mean_steps for result in of),
        training=_means([result.training for result in of]),
        seconds=fmean(result.seconds for result in of),
    )


def _gap(own: Seeds, results: Mapping[str, Seeds], name: str) -> GapRecovered:
    floor, top = results.get(name, {}), results.get(ceiling.METHOD.name, {})
    seeds = _common(own, floor, top)
    if not seeds:
        missing = name if not floor else ceiling.METHOD.name if not top else "a seed in common"
        return GapRecovered(None, None, f"{missing} is missing")
    return gap_recovered(*(_cells(seeds_of, seeds) for seeds_of in (own, floor, top)))


def _common(*results: Seeds) -> list[int]:
    return sorted(set.intersection(*(set(seeds) for seeds in results)))


def _cells(results: Seeds, seeds: Sequence[int]) -> Floats:
    """Returns, (num_seeds, num_tasks)."""
    return np.stack([results[seed].scored for seed in seeds])


def _within_0_1(estimate: CrossedEstimate) -> CrossedEstimate:
    """A mean return cannot lie outside, and no interval of it need."""
    low, high = estimate.ci95
    return replace(estimate, ci95=(max(0.0, low), min(1.0, high)))


def _means(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    common = set.intersection(*(set(record) for record in records)) if records else set()
    return {key: fmean(record[key] for record in records) for key in sorted(common)}
