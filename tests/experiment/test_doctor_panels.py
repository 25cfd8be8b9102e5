"""`below-sft` of `w2stree doctor`: asked of each panel of test tasks, by the report's interval."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textworld_express")
pytest.importorskip("pydantic")

from support.well_run import OPTIONS, keep, play, read, set_panels, those_tested, well_run

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.evaluation import compare
from w2stree.experiment.config import config_from_record
from w2stree.experiment.diagnosis.diagnose import diagnose
from w2stree.experiment.stages.context import Context
from w2stree.policies.random import RandomPolicy
from w2stree.trajectories.trajectory import Trajectory

pytestmark = pytest.mark.java


@pytest.fixture(scope="module")
def pool() -> Any:
    with OPTIONS.pool() as pool:
        yield pool


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, pool: EnvironmentPool) -> Path:
    return well_run(tmp_path_factory.mktemp("runs") / "mini", pool)


def test_each_panel_is_asked_for_itself(clean: Path, tmp_path: Path) -> None:
    """A loss on one is not made up for on another; with too few tasks, a panel is not asked."""
    run = tmp_path / "run"
    shutil.copytree(clean, run)
    tested = read(run, "evaluate_sft_strong")
    more = [replace(t, task_id=f"more/{t.task_id}", total_return=0.1) for t in tested]
    few = [replace(t, task_id=f"few/{t.task_id}", total_return=0.1) for t in tested[:29]]

    def scored(runs: Sequence[Trajectory], change: float) -> list[Trajectory]:
        """Higher or lower by about so much."""
        return [
            replace(t, total_return=t.total_return + change * (1 + i % 3) / 2)
            for i, t in enumerate(runs)
        ]

    keep(run, "evaluate_sft_strong", [*scored(tested, -0.5), *more, *few])
    keep(run, "evaluate_tree_dpo", [*scored(tested, -0.6), *scored(more, 0.3), *scored(few, -0.1)])
    keep(run, "evaluate_mcts_sft", [*scored(tested, -0.5), *scored(more, 0.3), *few])
    ids = {name: [t.task_id for t in of] for name, of in (("test", tested), ("more", more))}
    set_panels(run, **ids, few=[t.task_id for t in few])
    (found,) = [s for s in diagnose(run).symptoms if s.name == "below-sft"]
    assert found.stage == "evaluate_tree_dpo"
    assert "on the panel test (-0.100 on 30 tasks)" in found.says

    set_panels(run, few=[t.task_id for t in few])
    assert "below-sft" in diagnose(run).not_asked
    (run / "tasks" / "tasks.json").write_text('{"test": [1, 2]}')
    with pytest.raises(InvalidInput, match=r"tasks\.json: not a record of chosen tasks"):
        diagnose(run)


def test_it_says_the_report_s_interval(clean: Path, tmp_path: Path, pool: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(clean, run)
    keep(run, "evaluate_tree_dpo", play(pool, RandomPolicy(), those_tested(run)))
    (found,) = [s for s in diagnose(run).symptoms if s.name == "below-sft"]
    config = config_from_record(json.loads((run / "config.json").read_text()), "config.json")
    names = ("sft_weak", "sft_strong", "tree_dpo")
    rows = compare(
        {name: read(run, f"evaluate_{name}") for name in names},
        those_tested(run),
        weak="sft_weak",
        ceiling=None,
        against=["sft_strong"],
        success_threshold=config.evaluate.success_threshold,
        num_bootstrap=config.evaluate.num_bootstrap,
        seed=Context(config, run).seed("report"),
    )
    assert found.measured == rows[-1].differences["sft_strong"].ci95[1]
