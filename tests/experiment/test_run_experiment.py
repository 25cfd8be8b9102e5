"""What a run does with files that change around it, and with what it is told to redo."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.demonstrated import TREASURE, experiment
from support.treasure_hunters import hunts

from w2stree import Trajectory, read_trajectories, write_trajectories
from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.pipeline import run_experiment, run_methods
from w2stree.experiment.running import run_stages
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("the_example_s_folder")]


def go(context: Context, *names: str, said: Callable[[str, str], None] = lambda *_: None) -> None:
    """Runs these stages alone."""
    chosen = [stage for stage in stages(context) if stage[0].name in names]
    run_stages(context.directory(), chosen, seed=0, announce=said)


def worthless(runs: list[Trajectory]) -> list[Trajectory]:
    return [replace(t, total_return=0.25) for t in runs]


@pytest.mark.filterwarnings("ignore:explore.trajectories. 12 of 12 runs were played by another")
def test_given_runs_that_change_while_earlier_stages_run_are_read_again(tmp_path: Path) -> None:
    """What is written down as read is what was read: a later start would find nothing to redo."""
    given, run = tmp_path / "runs.jsonl", tmp_path / "run"
    write_trajectories(given, hunts(range(3)))
    explore = {"trajectories": str(given)}
    with experiment(
        tmp_path, hunts(range(500, 510)), TREASURE, {"explore": None}, explore=explore
    ) as context:
        assert len(context.parts().explore.task_ids) == 3, "looked at before the first stage"
        write_trajectories(given, hunts(range(4)))
        go(context, "tasks")
        chosen = json.loads((run / "tasks" / "tasks.json").read_text())["explore"]["openings"]
        assert len(chosen) == 4
        write_trajectories(given, worthless(hunts(range(4))))
        go(context, "explore")
    explored = read_trajectories(run / "explore" / "trajectories.jsonl")
    assert {t.total_return for t in explored} == {0.25}


def test_demonstrations_that_change_while_earlier_stages_run_are_read_again(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts(range(500, 510))) as context:
        shown = context.parts().demonstrations.task_ids
        write_trajectories(tmp_path / "shown.jsonl", hunts(range(510, 520)))
        go(context, "tasks", "demonstrations")
    played = read_trajectories(tmp_path / "run" / "demonstrations" / "trajectories.jsonl")
    assert len(played) == 2 and not {t.task_id for t in played} & set(shown)


class EnoughError(Exception):
    pass


def test_tasks_that_were_edited_are_redone_by_force(tmp_path: Path) -> None:
    """As the refusal says."""
    with experiment(tmp_path, hunts(range(500, 510)), ceiling=None) as context:
        go(context, "tasks")
        file = tmp_path / "run" / "tasks" / "tasks.json"
        whole = file.read_text()
        file.write_text(whole + " ")
        config = context.config

    def stop(stage: str, what: str) -> None:
        if stage == "tasks" and what.startswith("finished"):
            raise EnoughError

    with pytest.raises(RunDirectoryError, match=r"changed afterwards.*--force tasks"):
        run_experiment(config, tmp_path / "run", announce=stop)
    with pytest.raises(EnoughError):
        run_experiment(config, tmp_path / "run", force=["tasks"], announce=stop)
    assert file.read_text() == whole


def test_a_stage_that_no_method_needs_is_run_on_request(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts(range(500, 510)), ceiling=None) as context:
        config, parts = context.config, context.parts()
    run = tmp_path / "run"
    made = run_methods(config, run, [], also=["explore_held_out"], announce=lambda *_: None)
    assert made[-1].name == "explore_held_out"
    assert not {"explore", "tree", "report"} & {spec.name for spec in made}
    played = read_trajectories(run / "explore_held_out" / "trajectories.jsonl")
    assert {t.task_id for t in played} == set(parts.evaluated)
    with pytest.raises(InvalidInput, match=r"no stage explore_held; there are tasks, .*held_out"):
        run_methods(config, run, [], also=["explore_held"], announce=lambda *_: None)
