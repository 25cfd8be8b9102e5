"""The last stage: what was measured, as a table, charts and trees."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from w2stree.evaluation import compare
from w2stree.experiment.config import Config
from w2stree.experiment.methods import ceiling, sft
from w2stree.experiment.methods.method import Method
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.advice import advice
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.described import forest_figures
from w2stree.experiment.stages.evidence import ASSUMPTION_FILE, evidence
from w2stree.experiment.stages.shown_trees import shown_trees, view_of_trees
from w2stree.report.caveats import seeds_in_words
from w2stree.report.report import write_report
from w2stree.report.text import MethodText, Panel, Report
from w2stree.rollouts.task_choice import Chosen

FILES = ("report.json", "report.md", "report.html")


def outside(run_dir: Path) -> tuple[Path, ...]:
    """What the report reads beside the run's stages, where it is there."""
    file = run_dir / ASSUMPTION_FILE
    return (file,) if file.is_file() else ()


def report(context: Context, out: StageWriter) -> None:
    """Compare every method on the test tasks and write report.json, report.md, report.html."""
    made = report_of(context, context.config.methods())
    write_report(out.folder, made)
    for panel in made.panels:
        out.metrics.update(
            {f"avg_reward_{r.method}_{panel.name}": r.avg_reward for r in panel.rows}
        )


def report_of(context: Context, methods: Sequence[Method]) -> Report:
    """What a run says of these methods, the weak and the strong model among them; all that they
    need must have finished."""
    config = context.config
    top = ceiling.METHOD.name if ceiling.METHOD in methods else None
    parts, tasks = context.parts(), config.tasks
    panels = [
        _panel(context, methods, name, chosen, tasks.test[name].split, top)
        for name, chosen in parts.test.items()
    ]
    dev = None
    if tasks.dev is not None and parts.dev is not None:
        dev = _panel(context, methods, "dev", parts.dev, tasks.dev.split, top)
    stages = _finished_stages(context, [f"evaluate_{m.name}" for m in methods])
    manifests = list(stages.values())
    num_shown = stages["demonstrations"]["metrics"]["num_trajectories"]
    environment = config.environment
    found, trees = evidence(context, methods, parts.test), shown_trees(context)
    return Report(
        title=f"Weak-to-strong on {environment.title}",
        settings=_settings(config, num_shown, len(parts.explore.openings)),
        environment=environment.sentence,
        noun=environment.noun,
        methods={m.name: MethodText(m.label, m.explanation, m.is_tested) for m in methods},
        weak=sft.WEAK.name,
        strong=sft.STRONG.name,
        ceiling=top,
        config=config.model_dump(mode="json"),
        tasks=_task_counts(stages),
        num_demonstrations=num_shown,
        panels=panels,
        dev=dev,
        forest=forest_figures(context, methods),
        stages=[_figures(manifest) for manifest in manifests],
        versions=manifests[-1]["versions"],
        trees=trees,
        view=view_of_trees(context, trees, found.rows),
        view_command=shlex.join(["w2stree", "view", str(context.run_dir), "-o", "trees.html"]),
        evidence=found,
        advice=advice(context, methods, panels, dev, stages),
    )


def _panel(
    context: Context,
    methods: Sequence[Method],
    name: str,
    chosen: Chosen,
    split: str,
    top: str | None,
) -> Panel:
    """Every method on one panel's tasks."""
    config = context.config
    rows = compare(
        {
            m.name: [
                t
                for t in context.trajectories(f"evaluate_{m.name}")
                if t.task_id in chosen.openings
            ]
            for m in methods
        },
        chosen.task_ids,
        weak=sft.WEAK.name,
        ceiling=top,
        against=(sft.WEAK.name, sft.STRONG.name),
        success_threshold=config.evaluate.success_threshold,
        num_bootstrap=config.evaluate.num_bootstrap,
        seed=context.seed("report"),
    )
    return Panel(name, split, rows)


def _task_counts(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By part: how many distinct tasks it has, and how many were passed over as repeats."""
    counts = dict(stages["tasks"]["metrics"])
    if "random_play" in stages:
        played = stages["random_play"]["metrics"]
        counts["strong.pretrain"] = {
            "num_tasks": played["num_trajectories"],
            "num_repeated": played["num_repeated"],
            "num_shared": 0,
        }
    return counts


def _settings(config: Config, num_demonstrations: int, num_explored: int) -> list[str]:
    """The figures that say at a glance which experiment this is."""
    tasks = config.tasks
    panels = tasks.test.items()
    tested = [
        f"{panel.count} test tasks{f' {name}' if len(panels) > 1 else ''} ({panel.split} fold)"
        for name, panel in panels
    ]
    source = "" if config.demonstrations is None else f" from {config.demonstrations.name}"
    left_out = [f"{m.label} left out: no actions are listed" for m in config.methods_left_out()]
    return [
        f"configuration {config.name}, {seeds_in_words(config.seed, config.seeds)}",
        *config.environment.settings,
        f"{num_demonstrations} demonstrations{source}",
        _explored(config, num_explored),
        *tested,
        *([] if tasks.dev is None else [f"{tasks.dev.count} dev tasks, not in the table"]),
        *left_out,
    ]


def _explored(config: Config, num_tasks: int) -> str:
    some = config.num_trajectories
    if config.explore.samplings is not None:
        num_runs = len(config.explore.samplings)
        which = f"{num_runs} runs each" if some is None else f"{some} of {num_runs} runs each"
        return f"{num_tasks} explored tasks, {which}"
    assert config.explore.trajectories is not None
    at_most = "" if some is None else f", at most {some} each"
    return (
        f"{num_tasks} explored tasks, whose runs are of {config.explore.trajectories.name}{at_most}"
    )


def _finished_stages(context: Context, evaluations: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Manifests of all that led to the report, each after what it reads: the order of a story,
    in which every model is followed by its evaluation."""
    found: dict[str, dict[str, Any]] = {}

    def visit(stage: str) -> None:
        manifest = context.manifest(stage)
        if stage in found or manifest is None or manifest["stage"] != stage:
            return  # a folder outside the run may have a manifest too, of its own run
        for needed in manifest["inputs"]:
            visit(needed)
        found[stage] = manifest

    for stage in (*evaluations, "tree"):
        visit(stage)
    return found


def _figures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: manifest[key] for key in ("stage", "seconds", "peak_memory_mb", "metrics")}
