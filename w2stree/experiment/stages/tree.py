"""The stage that makes the forest: what the weak model's runs come to, for methods and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import write_json
from w2stree.experiment.stages.context import FOREST_FILE, Context
from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.forest.search import SearchResult
from w2stree.forest.summary import ForestSummary
from w2stree.trajectories.files import write_trajectories
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

FILES = (FOREST_FILE, "best_paths.jsonl", "best_paths.json", "forest.json", "trees.txt")

FIGURES = frozenset(
    {
        *(field.name for field in fields(ForestSummary)),
        "mean_return",
        "best_path_mean_return",
        "num_best_paths_below_best_run",
    }
)
"""In `forest.json`."""


def tree(context: Context, out: StageWriter) -> None:
    """The forest of the explored runs that are learned from, its drawings, its best paths, and its
    figures."""
    forest = build_forest(context.explored_runs(), merging=context.config.merge)
    forest.save(out.folder / FOREST_FILE)
    with replacing(out.folder / "trees.txt") as file:
        file.write("\n\n".join(f"{forest[task]}" for task in forest.task_ids) + "\n")
    found = context.config.search.run(forest)
    _write_best_paths(out, found)
    figures = _forest_figures(forest, found)
    write_json(out.folder / "forest.json", figures)
    out.metrics.update(figures)


def _write_best_paths(out: StageWriter, found: SearchResult) -> None:
    """The trajectories that took them, and in the same order what the search says of each."""
    paths = [path for of_tree in found.paths() for path in of_tree]
    write_trajectories(out.folder / "best_paths.jsonl", [path.trajectory for path in paths])
    records = [
        {
            "task_id": path.trajectory.task_id,
            "total_return": path.trajectory.total_return,
            "end_node": path.end_node,
            "value": path.value,
            "visit_count": path.visit_count,
        }
        for path in paths
    ]
    write_json(out.folder / "best_paths.json", records)


def _forest_figures(forest: Forest, found: SearchResult) -> dict[str, Any]:
    """The forest's summary, and what the search finds in it."""
    returns = [t.total_return for t in forest.trajectories]
    best = found.best_trajectories()
    return {
        **asdict(forest.summary()),
        "mean_return": sum(returns) / len(returns),
        "best_path_mean_return": sum(t.total_return for t in best) / len(best),
        "num_best_paths_below_best_run": _num_below_best_run(forest, best),
    }


def _num_below_best_run(forest: Forest, best_paths: Sequence[Trajectory]) -> int:
    """In how many trees the best path's return is below the best run's."""
    best_return = {
        task_id: max(t.total_return for t in forest[task_id].trajectories)
        for task_id in forest.task_ids
    }
    return sum(not at_least(t.total_return, best_return[t.task_id]) for t in best_paths)
