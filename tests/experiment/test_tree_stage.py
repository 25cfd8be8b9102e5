"""The stage `tree`: what it finds is opened by later stages, not made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cooking_runs import play

pytest.importorskip("pydantic")

from w2stree import Forest, InvalidInput, build_forest, write_trajectories
from w2stree.experiment.config import load_config
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.described import forest_figures
from w2stree.experiment.stages.tree import FIGURES, FILES, tree

EXPLORED = play([f"cookingworld/train/{i}" for i in range(5)], 0.8, num_runs=6, seed=2)


def explored(folder: Path, *overrides: str) -> Context:
    """A run whose stage `tree` has just been run."""
    for stage in ("explore", "tree"):
        (folder / stage).mkdir()
    write_trajectories(folder / "explore" / "trajectories.jsonl", EXPLORED)
    context = Context(load_config("miniature", list(overrides)), folder)
    tree(context, StageWriter(folder / "tree"))
    return context


def test_the_forest_is_opened_with_its_trajectories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = explored(tmp_path)
    assert {file.name for file in (tmp_path / "tree").iterdir()} == set(FILES)
    built = build_forest(EXPLORED)
    searches = []
    monkeypatch.setattr(Forest, "search", lambda *_, **options: searches.append(options))
    opened = context.forest()
    assert opened is context.forest()
    assert list(opened.trajectories) == EXPLORED
    for name in ("parent", "action_id", "observation_id", "end_node", "total_return"):
        assert np.array_equal(getattr(opened, name), getattr(built, name))
    assert searches == []


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        ([], {}),
        (["search.num_paths=3"], {"num_paths": 3}),
        (
            ["search.backup=max", "search.min_visits=2", "search.patience=5"],
            {"backup": "max", "min_visits": 2, "patience": 5},
        ),
        (
            ["search.stop_arm=false", "search.exploration=0.5"],
            {"stop_arm": False, "exploration": 0.5},
        ),
    ],
)
def test_best_paths_are_those_of_the_search_as_configured(
    tmp_path: Path, overrides: list[str], options: dict[str, Any]
) -> None:
    context = explored(tmp_path, *overrides)
    found = build_forest(EXPLORED).search(num_simulations=100, **options)
    paths = [path for of_tree in found.paths() for path in of_tree]
    assert context.best_paths() == [path.trajectory for path in paths]
    figures = context.best_path_figures()
    assert [figures[t]["end_node"] for t in found.forest.task_ids] == found.best_end_node.tolist()
    best = [t.total_return for t in found.best_trajectories()]
    assert [figures[t]["total_return"] for t in found.forest.task_ids] == best
    forest = json.loads((tmp_path / "tree" / "forest.json").read_text())
    assert forest["best_path_mean_return"] == sum(best) / len(best)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("search.backup=median", "search.backup"),
        ("search.min_visits=-1", "search.min_visits"),
        ("search.num_paths=0", "search.num_paths"),
        ("search.patience=0", "search.patience"),
        ("tree_dpo.strategy=best", "tree_dpo.strategy"),
        ("tree_dpo.per_divergence=0", "tree_dpo.per_divergence"),
        ("tree_dpo.max_per_task=0", "tree_dpo.max_per_task"),
        ("tree_dpo.success_threshold=2", "tree_dpo.success_threshold"),
    ],
)
def test_options_out_of_range_are_refused_by_their_key(override: str, key: str) -> None:
    with pytest.raises(InvalidInput, match=key):
        load_config("miniature", [override])


def test_what_methods_find_is_no_part_of_the_stage(tmp_path: Path) -> None:
    context = explored(tmp_path)
    file = tmp_path / "tree" / "forest.json"
    kept = json.loads(file.read_text())
    assert kept.keys() == FIGURES
    found = forest_figures(context, context.config.methods())
    assert found.items() > kept.items()
    assert found["num_preference_rows"] > 0
    assert found["num_kept_paths"] == 5
    # Versions before kept the methods' figures in the file, of settings that were the run's then.
    file.write_text(json.dumps(kept | {"num_preference_rows": -1, "num_of_old": 2}))
    assert forest_figures(context, context.config.methods()) == found


def test_figures_of_a_method_that_is_not_run_are_left_out(tmp_path: Path) -> None:
    without = explored(tmp_path, "tree_dpo=null")
    assert "num_preference_rows" not in forest_figures(without, without.config.methods())
