"""The last stage: what was measured, as a table, charts and trees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from w2stree.evaluation import compare
from w2stree.experiment.run_directory import RunDirectory, StageWriter
from w2stree.experiment.stages.context import METHODS, Context
from w2stree.forest.search import SearchResult
from w2stree.forest.tree import Tree
from w2stree.report.report import Report, TreePicture, write_report
from w2stree.report.tree_drawing import choose_trees, draw_tree

_STATEMENT_CHARS = 260


def report(context: Context, out: StageWriter) -> None:
    """Compare every method on the test tasks and write report.json, report.md, report.html."""
    config = context.config
    directory = RunDirectory(context.run_dir, config.model_dump(mode="json"))
    rows = compare(
        {method: context.trajectories(f"evaluate_{method}") for method in METHODS},
        context.tasks("test"),
        weak="sft_weak",
        ceiling="ceiling",
        against=("sft_weak", "sft_strong"),
        success_threshold=config.evaluate.success_threshold,
        num_bootstrap=config.evaluate.num_bootstrap,
        seed=context.seed("report"),
    )
    stages = _finished_stages(directory)
    manifests = list(stages.values())
    write_report(
        out.folder,
        Report(
            config=config.model_dump(mode="json"),
            rows=rows,
            forest=json.loads((directory.stage("tree") / "forest.json").read_text()),
            stages=[_figures(manifest) for manifest in manifests],
            versions=manifests[-1]["versions"],
            trees=_pictures(context),
        ),
    )
    out.metrics.update({f"avg_reward_{row.method}": row.avg_reward for row in rows})


def _finished_stages(directory: RunDirectory) -> dict[str, dict[str, Any]]:
    """Manifests of all that led to the report, each after what it reads: the order of a story,
    in which every model is followed by its evaluation."""
    found: dict[str, dict[str, Any]] = {}

    def visit(stage: str) -> None:
        manifest = directory.manifest(stage)
        if stage in found or manifest is None:
            return
        for needed in manifest["inputs"]:
            visit(needed)
        found[stage] = manifest

    for method in METHODS:
        visit(f"evaluate_{method}")
    visit("tree")
    return found


def _figures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: manifest[key] for key in ("stage", "seconds", "peak_memory_mb", "metrics")}


def _pictures(context: Context) -> list[TreePicture]:
    section = context.config.search
    forest = context.forest()
    found = forest.search(
        num_simulations=section.num_simulations,
        exploration=section.exploration,
        stop_arm=section.stop_arm,
    )
    return [
        TreePicture(
            tree.task_id,
            _statement(tree, context.config.prompt.instruction),
            _caption(tree, found),
            draw_tree(tree, found),
        )
        for tree in choose_trees(forest)
    ]


def _statement(tree: Tree, instruction: str) -> str:
    """The beginning of the task as the player reads it, on one line."""
    prompt = tree.trajectories[0].prompt
    content = prompt[-1].content.removeprefix(instruction) if prompt else ""
    line = " ".join(content.split())
    return line if len(line) <= _STATEMENT_CHARS else f"{line[: _STATEMENT_CHARS - 1]}…"


def _caption(tree: Tree, found: SearchResult) -> str:
    returns = [t.total_return for t in tree.trajectories]
    best = found.best_trajectories()[tree.tree_id].total_return
    return (
        f"{len(returns)} runs with returns from {min(returns):.2f} to {max(returns):.2f}; "
        f"the best path's is {best:.2f}"
    )
