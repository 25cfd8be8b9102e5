"""The stage `recombine`, its input, and the method that learns from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("textworld_express")

from support.recorded_fitting import RecordedFitting
from support.two_things import TASKS, played, run_in

from w2stree.errors import ExplorationFailure, InvalidInput
from w2stree.experiment.config import load_config
from w2stree.experiment.methods.recombined_sft import RecombinedSftSection, train
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.played_paths import FILES
from w2stree.experiment.stages.recombine import recombine, recombined
from w2stree.rollouts.recombination.paths import ENDS_AT_BEST, Recombined
from w2stree.rollouts.recombination.recombine import NOT_DETERMINISTIC, OUT_OF_BUDGET
from w2stree.rollouts.verification import verify
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.files import read_trajectories, write_trajectories
from w2stree.trajectories.trajectory import Step, Trajectory

pytestmark = [pytest.mark.train, pytest.mark.java]

LEARNS = "recombined_sft={optimisation: {num_epochs: 1, learning_rate: 0.001}}"
ONCE = Optimisation(num_epochs=1, learning_rate=1e-3)


def halves(context: Context, task_id: str) -> list[Trajectory]:
    """Two failed runs: the expert's actions on either thing, after a look around."""
    context.pool()[0].call("reset", task_id)
    gold = [turn.action for turn in context.pool()[0].call("expert")]
    things = [action.removeprefix("take ") for action in gold if action.startswith("take ")]
    assert len(things) == 2
    return [
        played(
            context,
            task_id,
            ["look around", *(a for a in gold if other not in a), "look around"],
            sample,
            "Tidy up.",
        )
        for sample, other in enumerate(things)
    ]


def recombine_in(context: Context, runs: list[Trajectory]) -> StageWriter:
    explored = context.run_dir / "explore" / "trajectories.jsonl"
    explored.parent.mkdir(exist_ok=True)
    write_trajectories(explored, runs)
    out = StageWriter(context.run_dir / "recombine")
    out.folder.mkdir(exist_ok=True)
    recombine(context, out)
    return out


def test_failed_runs_of_a_game_become_its_solutions(tmp_path: Path) -> None:
    with run_in(tmp_path, LEARNS) as context:
        runs = [run for task_id in TASKS for run in halves(context, task_id)]
        assert [run.total_return for run in runs] == [0.5] * 4
        out = recombine_in(context, runs)
        assert {file.name for file in out.folder.iterdir()} == set(FILES)
        paths = read_trajectories(out.folder / "trajectories.jsonl")
        assert [(path.task_id, path.total_return, path.status) for path in paths] == [
            (task_id, 1.0, "done") for task_id in TASKS
        ]
        assert [found for _, found in verify(context.pool(), paths)] == [[], []]
        found = recombined(context)
        assert [one.trajectory for one in found] == paths
        for path, one in zip(paths, found, strict=True):
            assert path.prompt[0].content.startswith("Tidy up.\n")
            assert "look around" not in [step.action for step in path.steps]
            assert path.info["sources"] == [s and [s.run, s.step] for s in one.sources]
    metrics = out.metrics
    assert metrics["mean_best_return"] == 0.5
    assert metrics["mean_return"] == 1.0
    assert metrics["num_above_best_run"] == metrics["num_combined"] == 2
    assert metrics["max_steps_spent"] <= 600
    by_purpose = [metrics[f"mean_steps_spent_on_{p}"] for p in ("runs", "search", "shortening")]
    assert sum(by_purpose) == metrics["mean_steps_spent"]


def test_a_task_that_fails_is_said_and_all_that_fail_stop_the_run(tmp_path: Path) -> None:
    with run_in(tmp_path, LEARNS) as context:
        good = halves(context, TASKS[0])
        other = [replace(run, total_return=0.75) for run in halves(context, TASKS[1])]
        with pytest.warns(UserWarning, match="1 of 2 tasks keep their best run") as warned:
            out = recombine_in(context, [*good, *other])
        assert f"1: {NOT_DETERMINISTIC} (the first one: {TASKS[1]})" in str(warned[0].message)
        assert out.metrics["num_not_deterministic"] == 1
        kept = read_trajectories(out.folder / "trajectories.jsonl")[1]
        assert kept == other[0]
        with pytest.raises(ExplorationFailure, match="no path was made: mend the cause first"):
            recombine_in(context, other)
    with (
        run_in(tmp_path, LEARNS, "recombine.budget_per_task=2") as context,
        pytest.raises(ExplorationFailure, match=r"raise recombine\.budget_per_task") as failure,
    ):
        recombine_in(context, good)
    assert OUT_OF_BUDGET in str(failure.value)


def test_a_path_that_ends_where_its_return_is_highest_is_not_cut_short(tmp_path: Path) -> None:
    """No model played it: the report would say that one could read no further."""
    with run_in(tmp_path, LEARNS, "recombine.budget_per_task=18") as context:
        out = recombine_in(context, halves(context, TASKS[0]))
    (path,) = read_trajectories(out.folder / "trajectories.jsonl")
    assert (path.status, path.origin.truncated_by) == ("truncated", ENDS_AT_BEST)
    assert out.metrics["num_cut_short"] == 0


def test_the_stage_runs_where_a_method_needs_it(tmp_path: Path) -> None:
    with run_in(tmp_path, LEARNS) as context:
        listed = {spec.name: spec for spec, _ in stages(context)}
    assert listed["recombined_sft"].needs == ("recombine", "sft_strong", "demonstrations")
    assert listed["recombine"].needs == ("explore",)
    plain = Context(load_config("miniature"), tmp_path)
    assert "recombine" not in {spec.name for spec, _ in stages(plain)}


def path(
    total_return: float, best_return: float, making: Any, task_id: str = "task-1"
) -> Recombined:
    trajectory = Trajectory(task_id, (), (Step("go", "gone"),), total_return, "truncated")
    return Recombined(
        trajectory=trajectory,
        sources=(),
        best_return=best_return,
        best_on_the_way=best_return,
        making=making,
    )


PATHS = [
    path(1.0, 0.5, "combined"),
    path(0.75, 0.5, "combined"),
    path(1.0, 1.0, "shortened"),
    path(0.0, 0.0, "run"),
]
SHOWN = path(1.0, 1.0, "run", "task-2").trajectory


def trained_on(section: RecombinedSftSection) -> tuple[list[Trajectory], Any]:
    fitting = RecordedFitting()
    trained = train(
        recombined=PATHS,
        start=lambda: "strong",  # type: ignore[arg-type,return-value]
        demonstrations=[SHOWN],
        section=section,
        fitting=fitting,  # type: ignore[arg-type]
    )
    return fitting.asked["trajectories"], trained.metrics


def test_the_method_learns_from_every_task_and_says_what_from() -> None:
    shown, metrics = trained_on(RecombinedSftSection(optimisation=ONCE))
    assert shown == [*(one.trajectory for one in PATHS), SHOWN]
    assert metrics == {
        "num_paths": 4,
        "num_combined": 2,
        "num_extended": 0,
        "num_shortened": 1,
        "num_succeeded": 2,
        "num_from_failures": 3,
        "num_repaired": 1,
        "num_steps": 1.0,
    }


def test_the_method_may_leave_out_what_is_not_good_enough() -> None:
    section = RecombinedSftSection(min_return=1.0, with_demonstrations=False, optimisation=ONCE)
    shown, metrics = trained_on(section)
    assert shown == [PATHS[0].trajectory, PATHS[2].trajectory]
    assert metrics["num_paths"] == 2


def test_nothing_good_enough_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"recombined_sft\.min_return 0\.9 leaves none of 1 paths"
    ):
        train(
            recombined=PATHS[1:2],
            start=lambda: "strong",  # type: ignore[arg-type,return-value]
            demonstrations=[],
            section=RecombinedSftSection(min_return=0.9, optimisation=ONCE),
            fitting=RecordedFitting(),  # type: ignore[arg-type]
        )
