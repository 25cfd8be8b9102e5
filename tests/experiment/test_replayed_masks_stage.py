"""The stage `replayed_masks`: masks in the places of the runs that they are of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("textworld_express")

from support.two_things import TASKS, played, run_in

from w2stree.experiment.methods.failure_sft import FailureSftSection, chosen_failures, shown_runs
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.replayed_masks import FILES, read_masks
from w2stree.trajectories.files import write_trajectories
from w2stree.trajectories.trajectory import Trajectory

pytestmark = [
    pytest.mark.train,
    pytest.mark.java,
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
]

LEARNS = "failure_sft={mask: replay, runs: all, optimisation: {num_steps: 1, learning_rate: 1}}"
LOOK = "look around"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    with run_in(tmp_path, LEARNS) as context:
        yield context


def runs_of(context: Context, task_id: str) -> list[Trajectory]:
    """One that succeeds, and two that stop after one thing, with a look around in other places."""
    environment = context.pool()[0]
    environment.call("reset", task_id)
    gold = [turn.action for turn in environment.call("expert")]
    *_, other = (a.removeprefix("take ") for a in gold if a.startswith("take "))
    half = [action for action in gold if other not in action and action != LOOK]
    scripts = [[LOOK, *half], gold, [*half, LOOK]]
    return [played(context, task_id, script, i) for i, script in enumerate(scripts)]


def test_each_failure_has_its_own_mask(context: Context) -> None:
    runs = [run for task_id in TASKS for run in runs_of(context, task_id)]
    (context.run_dir / "explore").mkdir()
    write_trajectories(context.run_dir / "explore" / "trajectories.jsonl", runs)
    made = {spec.name: run for spec, run in stages(context)}
    for stage in ("tree", "replayed_masks"):
        out = StageWriter(context.run_dir / stage)
        out.folder.mkdir()
        made[stage](out)  # sees no more of the run than it declares
    assert [file.name for file in out.folder.iterdir()] == [*FILES]
    masks, forest = read_masks(context), context.forest()
    section: FailureSftSection = context.config.failure_sft  # type: ignore[attr-defined]
    assert list(masks) == chosen_failures(forest, section, 1.0)
    for shown in shown_runs(forest, section, 1.0, masks):
        assert shown.is_failure == (shown.run.total_return < 1)
        looked = [step.action == LOOK for step in shown.run.steps]
        assert shown.learned == [not (shown.is_failure and look) for look in looked]
    assert out.metrics["num_replayed_runs"] == len(masks) == 4
    assert out.metrics["num_spared_steps"] == 4
    assert out.metrics["num_unplayable_runs"] == out.metrics["num_untried_runs"] == 0
