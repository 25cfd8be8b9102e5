"""Several runs side by side: one table a configuration, by method over the seeds of its runs.

    runs/a  quickstart, seed 0 ┐
    runs/b  quickstart, seed 1 ┴─> one table: seeds and tasks are crossed
    runs/c  quickstart, beta 0.5 ─> a table of its own, with the key that differs

Runs are pooled where their configurations differ in nothing but seeds, and played the same tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.evaluation import (
    CrossedEstimate,
    GapRecovered,
    crossed_estimate,
    gap_recovered,
    returns_by_task,
    successes_by_task,
)
from w2stree.evaluation.crossed import Floats
from w2stree.experiment.analyses.finished_run import FinishedRun, finished_run
from w2stree.experiment.changes import Change, changes
from w2stree.experiment.config import Config
from w2stree.experiment.manifest import read_manifest
from w2stree.experiment.methods import METHODS, ceiling, sft
from w2stree.experiment.parts import Parts
from w2stree.experiment.report_again import config_of_run
from w2stree.report.grid import GridPanel, GridReport, GridRow
from w2stree.report.text import FEWEST_TASKS
from w2stree.rollouts.task_choice import Chosen
from w2stree.shorten import visible
from w2stree.trajectories.trajectory import Trajectory

_SEEDS = ("seed", "seeds", "name")
_SEED = 0  # of all resamples: methods of a table meet the same ones
_MOST_KEYS = 8

_NOTES = (
    "Each row is over the seeds that have it; intervals hold for other training seeds and other "
    "test tasks: both are resampled, crossed and paired, and scaled to Student's t. With one seed "
    "an interval is over tasks alone, with two or three it is wide rather than right.",
    "No difference was asked for before the runs: the table describes, and carries no claim. "
    "`w2stree experiment` asks first, and tests.",
    "Over strong: the paired difference over the seeds that both have. PGR is (method - weak) / "
    "(ceiling - weak), and over strong (method - strong) / (ceiling - strong); a dash where the "
    "gap's interval touches 0, or where a part of it has not run.",
    "An episode that ended in an error counts 0.",
)


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run, its configuration and its tasks; `played` reads a method's test episodes once."""

    run: FinishedRun
    config: Config
    parts: Parts
    played: Mapping[str, Sequence[Trajectory]]

    @property
    def name(self) -> str:
        return str(self.run.path)

    @property
    def drawn(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        """All that it draws with."""
        return self.config.seed, tuple(sorted(self.config.seeds.items()))

    def differs(self, other: ComparedRun) -> list[Change]:
        """Keys that are another here, seeds and what no result depends on apart."""
        records = (run.config.model_dump(mode="json") for run in (other, self))
        return changes(*records, but=(*_SEEDS, *self.config.may_change()))


def compare_runs(paths: Sequence[Path]) -> GridReport:
    """The runs in directories as one report: a table for each configuration and kind of test tasks.

    Raises `RunDirectoryError` for a directory without a run or a finished evaluation, and
    `InvalidInput` for runs that cannot be compared: the same directory twice, two of one
    configuration and one seed, two of one configuration that played other tasks.
    """
    runs = [_read(path) for path in paths]
    _refuse_twice(runs)
    groups = _groups(runs)
    panels = [panel for name, group in _named(groups) for panel in _panels(name, group)]
    return GridReport(
        name="Runs compared",
        question=f"{len(runs)} runs: {', '.join(visible(run.name) for run in runs)}.",
        num_cells=0,
        num_done=0,
        panels=panels,
        contrasts=(),
        not_run=list(_not_tested(groups)),
        notes=[*_apart(groups), *_too_few(panels), *_NOTES],
        record={
            "runs": [
                {
                    "path": run.name,
                    "seed": run.config.seed,
                    "seeds": run.config.seeds,
                    "config": run.config.model_dump(mode="json"),
                }
                for run in runs
            ]
        },
    )


def _read(path: Path) -> ComparedRun:
    run = finished_run(path)
    if not run.methods:
        raise InvalidInput(
            f"{visible(str(path))}: no method was tested here yet; finish the run, or leave it out"
        )
    config = config_of_run(path)
    played = {method: list(run.test_episodes(method)) for method in run.methods}
    return ComparedRun(run, config, run.parts(), played)


def _refuse_twice(runs: Sequence[ComparedRun]) -> None:
    seen: dict[Path, ComparedRun] = {}
    for run in runs:
        if (before := seen.setdefault(run.run.path.resolve(), run)) is not run:
            raise InvalidInput(
                f"{visible(before.name)} and {visible(run.name)} are one directory; give it once"
            )


def _groups(runs: Sequence[ComparedRun]) -> list[list[ComparedRun]]:
    """Runs of one configuration together, in the order of their first ones."""
    groups: list[list[ComparedRun]] = []
    for run in runs:
        group = next((g for g in groups if not run.differs(g[0])), None)
        if group is None:
            groups.append([run])
            continue
        for other in group:
            if other.drawn == run.drawn:
                raise InvalidInput(
                    f"{visible(other.name)} and {visible(run.name)} are of one configuration and "
                    f"one seed ({run.config.seed}): counted twice, luck would look like evidence; "
                    "give one of them, or run another seed"
                )
        _refuse_other_tasks(group[0], run)
        group.append(run)
    return groups


def _refuse_other_tasks(one: ComparedRun, other: ComparedRun) -> None:
    for name, chosen in one.parts.test.items():
        theirs = other.parts.test.get(name)
        if theirs is None or dict(chosen.openings) != dict(theirs.openings):
            raise InvalidInput(
                f"{visible(one.name)} and {visible(other.name)} are of one configuration, but "
                f"played other test tasks ({visible(name)}): their files or their environment have "
                "changed between them; they cannot be pooled"
            )


def _named(groups: Sequence[Sequence[ComparedRun]]) -> list[tuple[str, Sequence[ComparedRun]]]:
    """Each with its configuration's name; with its first run's where two have that name."""
    names = [group[0].config.name for group in groups]
    return [
        (name if names.count(name) == 1 else f"{name} ({group[0].name})", group)
        for name, group in zip(names, groups, strict=True)
    ]


def _panels(name: str, group: Sequence[ComparedRun]) -> Iterator[GridPanel]:
    tested = {method for run in group for method in run.played}
    for panel, chosen in group[0].parts.test.items():
        rows = [
            _row(group, panel, method.name, method.label)
            for method in METHODS
            if method.name in tested
        ]
        if rows:
            yield GridPanel(name, "", panel, len(chosen.task_ids), rows)


def _row(group: Sequence[ComparedRun], panel: str, method: str, label: str) -> GridRow:
    own = [run for run in group if method in run.played]
    returns = _cells(own, panel, method)
    by_seed = returns.mean(axis=1)
    paired = [run for run in own if sft.STRONG.name in run.played]
    is_strong = method == sft.STRONG.name
    episodes = [t for run in own for t in _of(run, panel, method)]
    finished = [t for t in episodes if t.status != "error"]
    stages = [_manifest(run, method) for run in own]
    return GridRow(
        method=method,
        label=label,
        seeds=[run.config.seed for run in own],
        avg_reward=_within_0_1(_estimate(own, returns)),
        sd_over_seeds=float(by_seed.std(ddof=1)) if len(own) > 1 else None,
        success_rate=_within_0_1(_estimate(own, _successes(own, panel, method))),
        over_strong=None
        if is_strong or not paired
        else _estimate(
            paired, _cells(paired, panel, method) - _cells(paired, panel, sft.STRONG.name)
        ),
        pgr=_gap(own, panel, method, sft.WEAK.name),
        pgr_over_strong=_gap(own, panel, method, sft.STRONG.name),
        num_errors=len(episodes) - len(finished),
        mean_steps=sum(len(t.steps) for t in finished) / max(1, len(finished)),
        training=_training(stages),
        seconds=fmean(manifest.get("seconds", 0.0) for manifest in stages),
    )


def _of(run: ComparedRun, panel: str, method: str) -> list[Trajectory]:
    chosen = run.parts.test[panel]
    return [t for t in run.played[method] if t.task_id in chosen.openings]


def _cells(runs: Sequence[ComparedRun], panel: str, method: str) -> Floats:
    """Returns, (num_seeds, num_tasks), in the order of the first run's tasks."""
    tasks = _tasks(runs, panel)
    return np.stack([returns_by_task(_of(run, panel, method), tasks) for run in runs])


def _successes(runs: Sequence[ComparedRun], panel: str, method: str) -> Floats:
    tasks = _tasks(runs, panel)
    return np.stack(
        [
            successes_by_task(_of(run, panel, method), tasks, run.run.success_threshold)
            for run in runs
        ]
    )


def _tasks(runs: Sequence[ComparedRun], panel: str) -> list[str]:
    chosen: Chosen = runs[0].parts.test[panel]
    return chosen.task_ids


def _estimate(runs: Sequence[ComparedRun], cells: Floats) -> CrossedEstimate:
    num = runs[0].config.evaluate.num_bootstrap
    return crossed_estimate(cells, num_bootstrap=num, seed=_SEED)


def _gap(runs: Sequence[ComparedRun], panel: str, method: str, floor: str) -> GapRecovered:
    top = ceiling.METHOD.name
    both = [run for run in runs if floor in run.played and top in run.played]
    if not both:
        return GapRecovered(None, None, f"no seed has {floor} and {top}")
    return gap_recovered(*(_cells(both, panel, name) for name in (method, floor, top)))


def _within_0_1(estimate: CrossedEstimate) -> CrossedEstimate:
    """A mean return cannot lie outside, and no interval of it need."""
    low, high = estimate.ci95
    return replace(estimate, ci95=(max(0.0, low), min(1.0, high)))


def _manifest(run: ComparedRun, stage: str) -> Mapping[str, Any]:
    return read_manifest(run.run.path / stage, stage) or {}


def _training(manifests: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    records = [manifest.get("metrics", {}) for manifest in manifests]
    numbers = [{k: v for k, v in r.items() if isinstance(v, int | float)} for r in records]
    common = set.intersection(*(set(record) for record in numbers))
    return {key: fmean(record[key] for record in numbers) for key in sorted(common)}


def _too_few(panels: Sequence[GridPanel]) -> Iterator[str]:
    """Tables that tell little, and why."""
    for panel in panels:
        one_seed = all(len(row.seeds) == 1 for row in panel.rows)
        parts = [
            *([f"{panel.num_tasks} tasks"] if panel.num_tasks < FEWEST_TASKS else []),
            *(["one seed"] if one_seed else []),
        ]
        if parts:
            yield (
                f"{panel.world}, {panel.panel}: too few to tell a gain from luck "
                f"({' and '.join(parts)})."
            )


def _not_tested(groups: Sequence[Sequence[ComparedRun]]) -> Iterator[str]:
    """A sentence for each run of a group that lacks a method which another one has."""
    for group in groups:
        tested = [m.name for m in METHODS if any(m.name in run.played for run in group)]
        for run in group:
            if missing := [name for name in tested if name not in run.played]:
                yield f"{', '.join(missing)} in {visible(run.name)}"


def _apart(groups: Sequence[Sequence[ComparedRun]]) -> Iterator[str]:
    """Why there are several tables."""
    first = groups[0][0]
    for group in groups[1:]:
        differing = group[0].differs(first)
        shown = "; ".join(str(change) for change in differing[:_MOST_KEYS])
        more = len(differing) - _MOST_KEYS
        rest = f"; and {more} more keys" if more > 0 else ""
        names = ", ".join(visible(run.name) for run in group)
        yield (
            f"{names}: not pooled with {visible(first.name)}, which is of another configuration "
            f"({shown}{rest})."
        )
