"""The stage `plain_search`, its input, and the method that learns from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("textworld_express")

from support.recorded_fitting import RecordedFitting
from support.two_things import TASKS, run_in

from w2stree.errors import ExplorationFailure, InvalidInput
from w2stree.experiment.config import load_config
from w2stree.experiment.methods.searched_sft import SearchedSftSection, train
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.plain_search import plain_search, searched
from w2stree.experiment.stages.played_paths import FILES
from w2stree.rollouts.recombination.plain_search import NOTHING_FOUND
from w2stree.rollouts.verification import verify
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Step, Trajectory

pytestmark = pytest.mark.train

LEARNS = "searched_sft={optimisation: {num_epochs: 1, learning_rate: 0.001}}"
ONCE = Optimisation(num_epochs=1, learning_rate=1e-3)


def search_in(context: Context, monkeypatch: pytest.MonkeyPatch) -> StageWriter:
    monkeypatch.setattr(Context, "task_ids", lambda self, part: list(reversed(TASKS)))
    out = StageWriter(context.run_dir / "plain_search")
    out.folder.mkdir(exist_ok=True)
    plain_search(context, out)
    return out


@pytest.mark.java
def test_a_game_is_solved_without_any_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_in(tmp_path, LEARNS, "prompt.instruction=Tidy up.") as context:
        out = search_in(context, monkeypatch)
        assert {file.name for file in out.folder.iterdir()} == set(FILES)
        paths = read_trajectories(out.folder / "trajectories.jsonl")
        assert searched(context) == paths
        assert [path.task_id for path in paths] == list(TASKS)
        assert [found for _, found in verify(context.pool(), paths)] == [[], []]
        assert all(path.prompt[0].content.startswith("Tidy up.\n") for path in paths)
    records = json.loads((out.folder / "paths.json").read_text())
    assert [one["task_id"] for one in records] == list(TASKS)
    metrics = out.metrics
    assert metrics["mean_return"] == 1.0
    assert metrics["num_nothing_found"] == metrics["num_environment_errors"] == 0
    assert 0 < metrics["max_steps_spent"] <= 600
    by_purpose = [metrics[f"mean_steps_spent_on_{p}"] for p in ("search", "shortening")]
    assert sum(by_purpose) == metrics["mean_steps_spent"]


@pytest.mark.java
def test_a_budget_that_finds_nothing_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        run_in(tmp_path, LEARNS, "plain_search.budget_per_task=1") as context,
        pytest.raises(ExplorationFailure, match=r"raise plain_search\.budget_per_task") as failure,
    ):
        search_in(context, monkeypatch)
    words = str(failure.value)
    assert words.startswith("plain_search: 2 of 2 tasks have no path:\n")
    assert f"2: {NOTHING_FOUND} (the first one: {TASKS[1]})" in words


def test_the_stage_runs_where_a_method_needs_it(tmp_path: Path) -> None:
    with run_in(tmp_path, LEARNS) as context:
        listed = {spec.name: spec for spec, _ in stages(context)}
    assert listed["searched_sft"].needs == ("plain_search", "sft_strong", "demonstrations")
    assert listed["plain_search"].needs == ("tasks",)
    assert listed["plain_search"].files == {"tasks": ("explore.json",)}
    plain = Context(load_config("miniature"), tmp_path)
    assert "plain_search" not in {spec.name for spec, _ in stages(plain)}


def path(total_return: float, task_id: str = "task-1") -> Trajectory:
    return Trajectory(task_id, (), (Step("go", "gone"),), total_return, "truncated")


PATHS = [path(1.0), path(0.5, "task-2")]
SHOWN = path(1.0, "task-3")


def trained_on(section: SearchedSftSection) -> tuple[list[Trajectory], Any]:
    fitting = RecordedFitting()
    trained = train(
        searched=PATHS,
        start=lambda: "strong",  # type: ignore[arg-type,return-value]
        demonstrations=[SHOWN],
        section=section,
        fitting=fitting,  # type: ignore[arg-type]
    )
    return fitting.asked["trajectories"], trained.metrics


def test_the_method_learns_from_every_path_and_says_what_from() -> None:
    shown, metrics = trained_on(SearchedSftSection(optimisation=ONCE))
    assert shown == [*PATHS, SHOWN]
    assert metrics == {"num_paths": 2, "num_succeeded": 1, "num_steps": 1.0}
    section = SearchedSftSection(min_return=1.0, with_demonstrations=False, optimisation=ONCE)
    assert trained_on(section)[0] == PATHS[:1]


def test_nothing_good_enough_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"searched_sft\.min_return 0\.9 leaves none of 1 paths"):
        train(
            searched=PATHS[1:],
            start=lambda: "strong",  # type: ignore[arg-type,return-value]
            demonstrations=[],
            section=SearchedSftSection(min_return=0.9, optimisation=ONCE),
            fitting=RecordedFitting(),  # type: ignore[arg-type]
        )
