"""Several runs side by side: one table a configuration, by method over the seeds of its runs.

    runs/a  quickstart, seed 0 ┐
    runs/b  quickstart, seed 1 ┴─> one table: seeds and tasks are crossed
    runs/c  quickstart, beta 0.5 ─> a table of its own, with the key that differs

Runs are pooled where their configurations differ in nothing but seeds, and played the same tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.evaluation import returns_by_task, successes_by_task
from w2stree.experiment.analyses.finished_run import FinishedRun, finished_run
from w2stree.experiment.changes import Change, changes
from w2stree.experiment.config import Config
from w2stree.experiment.manifest import read_manifest
from w2stree.experiment.methods import METHODS
from w2stree.experiment.over_seeds import SeedResult, row_over_seeds
from w2stree.experiment.parts import Parts
from w2stree.experiment.report_again import config_of_run
from w2stree.report.grid import GridPanel, GridReport
from w2stree.report.text import FEWEST_TASKS
from w2stree.shorten import visible
from w2stree.trajectories.trajectory import Trajectory

_SEEDS = ("seed", "seeds", "name")
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

    def result(self, panel: str, method: str, task_ids: Sequence[str]) -> SeedResult:
        """What a tested method came to on a panel, by the tasks in this order."""
        chosen = self.parts.test[panel]
        episodes = [t for t in self.played[method] if t.task_id in chosen.openings]
        finished = [t for t in episodes if t.status != "error"]
        training, evaluation = (
            read_manifest(self.run.path / stage, stage) or {}
            for stage in (method, f"evaluate_{method}")
        )
        figures = training.get("metrics", {})
        return SeedResult(
            seed=self.config.seed,
            scored=returns_by_task(episodes, task_ids),
            successes=successes_by_task(episodes, task_ids, self.run.success_threshold),
            num_errors=len(episodes) - len(finished),
            mean_steps=sum(len(t.steps) for t in finished) / max(1, len(finished)),
            training={k: v for k, v in figures.items() if isinstance(v, int | float)},
            seconds=sum(made.get("seconds") or 0.0 for made in (training, evaluation)),
        )

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
        notes=[*_apart(groups), *_too_few(panels), *_shared_draws(groups), *_NOTES],
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
    tested = [m for m in METHODS if any(m.name in run.played for run in group)]
    num_bootstrap = group[0].config.evaluate.num_bootstrap
    for panel, chosen in group[0].parts.test.items():
        results = {
            method.name: {
                number: run.result(panel, method.name, chosen.task_ids)
                for number, run in enumerate(group)
                if method.name in run.played
            }
            for method in tested
        }
        rows = [
            row_over_seeds(method.name, method.label, results, num_bootstrap=num_bootstrap)
            for method in tested
        ]
        if rows:
            yield GridPanel(name, "", panel, len(chosen.task_ids), rows)


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


def _shared_draws(groups: Sequence[Sequence[ComparedRun]]) -> Iterator[str]:
    """What the runs of a group have in common, which no interval knows of."""
    for group in groups:
        if len(group) == 1:
            continue
        names = ", ".join(visible(run.name) for run in group)
        seeds = [run.config.seed for run in group]
        if len(set(seeds)) < len(seeds):
            yield (
                f"{names}: some differ in the seeds of single stages alone (seeds.STAGE): what "
                "they share counts twice, and intervals are too narrow."
            )
        common = set.intersection(*(set(run.config.seeds.items()) for run in group))
        if common:
            stages = ", ".join(stage for stage, _ in sorted(common))
            yield (
                f"{names}: {stages} drew with one seed in all of them: the spread over seeds is "
                "that of the other stages."
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
