"""Rules on the forest of the runs: what merges, and what the best paths are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging
from w2stree.forest.normalizers import NORMALIZERS, normalizer_named
from w2stree.linting.finding import Finding, Rule, Severity, found
from w2stree.linting.given import shown
from w2stree.percent import percent
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

_LEAST_GAIN = 0.01
"""Of the steps, more of which merge, for a normaliser to be worth naming."""
_LEAST_MORE = 0.005
"""For one more beside it."""


def forest_rules(forest: Forest, success: float) -> Iterator[Finding]:
    yield from _never_merging(forest)
    yield from _failed_best(forest, success)


def best_paths(forest: Forest) -> list[Trajectory]:
    """Those that `w2stree train sft` imitates: each task's best run, as search finds it. None where
    returns are too large to be searched: their range is a finding of its own."""
    returns = [float(value) for value in forest.total_return]
    span = (min(0.0, *returns), max(1.0, *returns))
    if not math.isfinite(span[1] - span[0]):
        return []
    return list(forest.search(return_range=span).best_trajectories())


def _failed_best(forest: Forest, success: float) -> list[Finding]:
    best = best_paths(forest)
    failed = [run for run in best if not at_least(run.total_return, success)]
    return found(
        Rule.FAILED_BEST,
        Severity.WARNING,
        [f"{shown(run.task_id)} (return {run.total_return:g})" for run in failed],
        len(best),
        "tasks' best runs",
        says=f"have a return below {success:g}: they failed",
        effect="w2stree train sft imitates them like the rest",
        fix=f"--min-return {success:g} (or lower, where a part of the way is worth imitating)",
    )


@dataclass(frozen=True, slots=True)
class Merged:
    """What a rule of merging makes of the runs."""

    name: str
    rate: float
    num_pairs: int

    def gain(self, before: Merged) -> float:
        return self.rate - before.rate


def _never_merging(forest: Forest) -> list[Finding]:
    """Answers to one action that differ, and the normaliser under which most of them are one."""
    rule = forest.parts.rule
    is_plain = isinstance(rule, Merging) and not rule.reads_texts
    places = _where_answers_differ(forest)
    if not is_plain or not places:
        return []
    before = _merged(forest, "")
    after = _best_normalizer(forest, before)
    total = int(forest.num_nodes)
    if after.gain(before) >= _LEAST_GAIN:
        return found(
            Rule.NEVER_MERGING,
            Severity.WARNING,
            places,
            total,
            "nodes",
            says="are left by one action with different answers, most of which a normaliser "
            "makes one",
            effect=f"with {after.name!r} {percent(before.rate)} -> {percent(after.rate)} of the "
            f"steps merge, {before.num_pairs:,} -> {after.num_pairs:,} pairs",
            fix=f"--normalize {after.name} (Merging(normalize_observation={after.name!r})), unless "
            "what it takes away is part of the state",
        )
    if 2 * len(places) < len(places) + np.count_nonzero(forest.is_decision_divergence):
        return []
    return found(
        Rule.NEVER_MERGING,
        Severity.WARNING,
        places,
        total,
        "nodes",
        says="are left by one action with different answers, and no normaliser that we know makes "
        "them one",
        effect=f"{percent(before.rate)} of the steps merge: trees of runs side by side, few pairs",
        fix="a normaliser of your own (Merging(normalize_observation=function)), or similarity",
    )


def _best_normalizer(forest: Forest, before: Merged) -> Merged:
    """By greed: the one that merges most, then whatever adds to it."""
    best = before
    while True:
        parts = [name for name in best.name.split("+") if name]
        tried = [
            _merged(forest, "+".join(n for n in NORMALIZERS if n in (*parts, name)))
            for name in NORMALIZERS
            if name not in parts and _joins_any(forest, name)
        ]
        found_best = max(tried, key=lambda merged: merged.rate, default=best)
        if found_best.gain(best) < (_LEAST_MORE if parts else _LEAST_GAIN):
            return best
        best = found_best


def _joins_any(forest: Forest, name: str) -> bool:
    texts = forest.observations
    return len(set(map(normalizer_named(name), texts))) < len(texts)


def _merged(forest: Forest, name: str) -> Merged:
    """The runs' forest under another rule."""
    if name:
        rule = Merging(normalize_observation=name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tasks without pairs, which have rules of their own
            forest = build_forest(forest.trajectories, merging=rule, openings="any")
    num_steps = int(forest.depth[forest.end_node].sum(dtype=np.int64))
    num_merged = num_steps - (forest.num_nodes - len(forest))
    return Merged(name, num_merged / max(1, num_steps), forest.count_pairs())


def _where_answers_differ(forest: Forest) -> list[str]:
    nodes = np.flatnonzero(forest.is_environment_divergence)
    trees = np.searchsorted(forest.root, nodes, side="right") - 1
    return [
        f"{shown(forest.task_ids[tree])}, after {depth} steps"
        for tree, depth in zip(trees.tolist(), forest.depth[nodes].tolist(), strict=True)
    ]
