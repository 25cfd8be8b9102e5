"""What cannot work is refused before anything runs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.demonstrated import TREASURE, doors, experiment
from support.experiments import run, smallest
from support.treasure_hunters import EXAMPLE, hunts

from w2stree import InvalidInput, Merging, write_trajectories
from w2stree.errors import MissingDependency
from w2stree.experiment.checks import check
from w2stree.training.launcher import Launch
from w2stree.training.optimisation import Lora

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("the_example_s_folder")]

DOORS = {"name": "gymnasium", "make": "support.games:Doors", "options": {"admissible": "none"}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shown": None},
            r"treasure has no expert .*: set environment.expert to .*or demonstrations "
            r"to a file .*or explore",
        ),
        (
            {"shown": hunts([1])},
            r"tasks.demonstrations: 2 are asked for, but .*shown.jsonl has 3 trajectories, 2 of "
            r"them successful .*, of 1 tasks; 1 of them are distinct train tasks here and not t",
        ),
        (
            {"shown": [replace(t, task_id="other/train/1") for t in hunts([1, 2])]},
            r"2 are asked for, .* 4 of them successful .*; 0 of them are distinct train tasks",
        ),
        (
            {"shown": hunts([0, 1])},
            r"ceiling learns from demonstrations of the 2 explored tasks, but .*shown.jsonl has 6 "
            r"trajectories.*; none is explored here: leave ceiling out",
        ),
        (
            {"shown": hunts([0, 1]), "tasks": {"explore": 999}},
            r"tasks.explore: 999 distinct tasks of train are asked for; its 1000 tasks open in "
            r"\d+ ways, of which \d+ are left for tasks.explore, the others are taken by "
            r"tasks.demonstrations, tasks.test.test. ",
        ),
        (
            {"shown": hunts([0, 1, 2]), "tasks": {"test": 1001}},
            r"1001 tasks of test are asked for; it has 1000",
        ),
        (
            {"shown": hunts([0, 1]), "environment": {**TREASURE, "list_actions": False}}
            | {"decoding": {"actions": "admissible"}},
            r"decoding.actions: admissible chooses among .*own_environment:treasure lists none",
        ),
        (
            {"shown": None, "environment": {"name": "scienceworld"}}
            | {"decoding": {"actions": "admissible"}},
            r"ScienceWorld lists none here: set environment.list_actions: true, or decoding.act",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    if options.get("environment", {}).get("name") == "scienceworld":
        pytest.importorskip("scienceworld", reason="pip install 'w2stree[scienceworld]'")
    with experiment(tmp_path, **options) as context, pytest.raises(InvalidInput, match=message):
        check(context)


def test_a_model_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts(range(4))) as context:
        weak = context.config.weak.model_copy(update={"path": tmp_path / "absent"})
        context.config = context.config.model_copy(update={"weak": weak})
        with pytest.raises(InvalidInput, match=r"absent: no config.json; give the directory of a"):
            check(context)


@pytest.mark.parametrize("role", ["weak", "strong"])
def test_adapters_of_layers_that_are_not_there_are_refused_before_anything_runs(
    tmp_path: Path, role: str
) -> None:
    lora = Lora(target_modules=("c_attn",))
    with experiment(tmp_path, hunts(range(4))) as context:
        section = getattr(context.config, role)
        section = section.model_copy(update={"sft": replace(section.sft, lora=lora)})
        context.config = context.config.model_copy(update={role: section})
        told = rf"^{role}.architecture: lora.target_modules names c_attn, the model has q_proj"
        with pytest.raises(InvalidInput, match=told):
            check(context)


def test_a_launcher_of_several_processes_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        experiment(tmp_path, hunts(range(4))) as context,
        pytest.raises(InvalidInput, match=r"a launcher .* started 2 processes"),
    ):
        check(context)


def test_what_cannot_be_launched_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with experiment(tmp_path, hunts(range(4))) as context:
        context.config = context.config.model_copy(update={"launch": Launch(3)})
        with pytest.raises(InvalidInput, match=r"weak.sft: batch_size is \d+; give .* 3 processes"):
            check(context)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
        with pytest.raises(
            InvalidInput, match=r"launch.num_processes is 3, a process a GPU, and 2"
        ):
            check(context)


def test_an_embedding_that_is_not_installed_is_missed_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2stree.forest.embedding.importlib.util.find_spec", lambda name: None)
    merging = Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2")
    with experiment(tmp_path, hunts(range(4))) as context:
        context.config = context.config.model_copy(update={"merge": merging})
        with pytest.raises(MissingDependency, match=r"pip install 'w2stree\[similarity\]'"):
            check(context)


def test_a_game_that_lists_no_actions_is_found_out_and_can_be_told_so(tmp_path: Path) -> None:
    shown = [doors(i) for i in range(10)]
    with (
        experiment(tmp_path, shown, DOORS, ceiling=None) as context,
        pytest.raises(InvalidInput, match=r"support.games:Doors lists no actions at the start of"),
    ):
        check(context)
    with experiment(tmp_path, shown, {**DOORS, "list_actions": False}, ceiling=None) as context:
        check(context)
        assert context.config.decoding.actions == "free"
        assert "random" not in [method.name for method in context.config.methods()]


def test_folds_that_share_too_many_tasks_are_refused(tmp_path: Path) -> None:
    same = {"name": "gymnasium", "make": "support.games:Circular"}
    shown = [replace(doors(i), task_id=f"round/{i}") for i in range(6)]
    with experiment(tmp_path, shown, same) as context:
        check(context)
    with (
        experiment(tmp_path, shown, same, {"test": 3}) as context,
        pytest.raises(
            InvalidInput, match=r"explore: 2 distinct .* its 6 tasks open in 6 ways, of which 1 "
        ),
    ):
        check(context)


def test_a_refused_run_leaves_nothing(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    write_trajectories(tmp_path / "shown.jsonl", hunts([0]))
    tasks = {"demonstrations": 2, "explore": 2, "test": 2}
    refused = run(smallest(TREASURE, tasks, demonstrations="shown.jsonl"), tmp_path)
    assert refused.returncode == 2
    last = refused.stderr.splitlines()[-1]  # before it: how far the choice of tasks was
    assert last.startswith("w2stree: tasks.demonstrations: 2 are asked for")
    assert not (tmp_path / "runs").exists()
