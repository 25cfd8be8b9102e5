"""Running one cell, or measuring one analysis, in its run directory, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2stree.evaluation import returns_by_task, successes_by_task
from w2stree.experiment.config import Config
from w2stree.experiment.grid.asked import Asked
from w2stree.experiment.grid.results import digest, made_from
from w2stree.experiment.manifest import read_manifest, versions
from w2stree.experiment.parts import Parts
from w2stree.experiment.pipeline import run_methods
from w2stree.experiment.run_directory import StageSpec
from w2stree.experiment.run_json import read_json
from w2stree.experiment.stages.bar import Bar
from w2stree.experiment.stages.context import TASKS_FILE
from w2stree.rollouts.task_choice import Chosen
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Trajectory

SCORED_BY = "evaluate.success_threshold"


def run_cell(
    config: Config,
    world: Config,
    run_dir: Path,
    method: str,
    *,
    redo: bool,
    announce: Callable[[str, str], None],
    bar: Bar,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train and test a method in `run_dir`, sharing stages with the runs beside it; returns the
    cell's record and the tasks that it played, as `Results.write` takes them. `world` is what the
    configuration was made from.

    Raises as `run_methods` does. What was finished stays: another call goes on.
    """
    started = time.perf_counter()
    specs = run_methods(
        config, run_dir, [method], redo=redo, share=run_dir.parent, announce=announce, bar=bar
    )
    seconds = time.perf_counter() - started
    file = run_dir / "tasks" / TASKS_FILE
    parts = Parts.from_record(read_json(file), str(file))
    dev = "dev" if "dev" not in parts.test else "tasks.dev"  # a test panel may be called that
    panels = {**parts.test, **({} if parts.dev is None else {dev: parts.dev})}
    played = read_trajectories(run_dir / f"evaluate_{method}" / "trajectories.jsonl")
    threshold = config.evaluate.success_threshold
    found = {name: _panel(played, chosen, threshold) for name, chosen in panels.items()}
    tasks = {name: list(chosen.openings.items()) for name, chosen in panels.items()}
    record = {
        "tasks": digest(tasks),
        "success_threshold": threshold,
        "panels": {name: found[name] for name in parts.test},
        **({} if parts.dev is None else {"dev": found[dev]}),
        **made_from(config, world, _reads(specs, also=[SCORED_BY])),
        "training": _figures(run_dir, method),
        "seconds": round(seconds, 1),
        "stages": {spec.name: _stage(run_dir, spec) for spec in specs},
        "versions": dict(versions()),
    }
    listed = {name: list(chosen.openings) for name, chosen in panels.items()}
    return record, {"tasks": record["tasks"], **listed}


def run_measurement(
    config: Config,
    world: Config,
    run_dir: Path,
    wanted: Asked,
    *,
    redo: bool,
    announce: Callable[[str, str], None],
    bar: Bar,
) -> dict[str, Any]:
    """Measure an analysis in `run_dir`, where the stages that it reads are run if they are missing,
    as `run_cell` does; returns the record, as `Results.write_measured` takes it.

    Raises as `run_methods` does, and as the analysis.
    """
    specs = run_methods(
        config, run_dir, [], also=wanted.stages, redo=redo, share=run_dir.parent,
        announce=announce, bar=bar,
    )  # fmt: skip
    started = time.perf_counter()
    announce(f"analysis-{wanted.name}", "running")
    figures = wanted.analysis.measure(run_dir, **wanted.settings.model_dump())
    seconds = round(time.perf_counter() - started, 1)
    # Measuring takes time as a stage does, and is not in the run directory: `Times`.
    own = {"seconds": seconds, "outputs": digest(figures)}
    stages = {spec.name: _stage(run_dir, spec) for spec in specs}
    return {
        "asked": wanted.record,
        "numbers": wanted.analysis.numbers(figures),
        "figures": figures,
        **made_from(config, world, _reads(specs, also=[SCORED_BY, *wanted.analysis.reads])),
        "seconds": seconds,
        "stages": {**stages, f"analysis-{wanted.name}": own},
        "versions": dict(versions()),
    }


def _reads(specs: Sequence[StageSpec], *, also: Sequence[str]) -> list[str]:
    """The keys that the stages read."""
    return sorted({*also, *(key for spec in specs for key in spec.reads)})


def _panel(played: Sequence[Trajectory], chosen: Chosen, threshold: float) -> dict[str, Any]:
    """The return of each task, None for one whose episode ended in an error."""
    runs = [t for t in played if t.task_id in chosen.openings]
    scored = [t for t in runs if t.status != "error"]
    finished = {t.task_id for t in scored}
    means = returns_by_task(runs, chosen.task_ids)
    returns = [
        float(mean) if task in finished else None
        for task, mean in zip(chosen.task_ids, means, strict=True)
    ]
    return {
        "num_tasks": len(returns),
        "avg_reward": round(float(means.mean()), 6),
        "num_successes": float(successes_by_task(runs, chosen.task_ids, threshold).sum()),
        "num_errors": len(runs) - len(scored),
        "mean_steps": round(sum(len(t.steps) for t in scored) / max(1, len(scored)), 3),
        "returns": returns,
    }


def _stage(run_dir: Path, spec: StageSpec) -> dict[str, Any]:
    manifest = read_manifest(run_dir / spec.name, spec.name) or {}
    return {
        "seconds": manifest.get("seconds"),
        "peak_memory_mb": manifest.get("peak_memory_mb"),
        "outputs": digest(manifest.get("outputs")),
        **_numbers(manifest, "num_", "mean_"),
    }


def _figures(run_dir: Path, method: str) -> dict[str, float]:
    """What the method's training says of itself; nothing of a method that trains nothing."""
    return _numbers(read_manifest(run_dir / method, method) or {}, "")


def _numbers(manifest: Mapping[str, Any], *beginnings: str) -> dict[str, float]:
    """The metrics of these names: of a stage that plays, the steps and episodes that it cost."""
    return {
        key: value
        for key, value in manifest.get("metrics", {}).items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and key.startswith(beginnings)
    }
