"""Explored runs from a file: whose tasks are explored, how the runs open, what is refused."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.demonstrated import TREASURE, experiment
from support.experiments import METHODS, run, smallest, stages_run
from support.treasure_hunters import EXAMPLE, hunts

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory, read_trajectories
from w2stree import write_trajectories as write
from w2stree.errors import RowWarning, TasksPassedOver
from w2stree.experiment.config import load_config
from w2stree.experiment.explored import read_explored
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import explored_before
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import action_of

# ruff: noqa: SIM117 (the experiment is not what is expected to warn)
pytestmark = pytest.mark.train

ERROR = Trajectory("treasure/train/1", (), (), 0.0, "error", Origin(error="the engine fell"))


@contextmanager
def given(
    folder: Path, runs: Sequence[Trajectory], tasks: dict[str, Any] | None = None, **changes: Any
) -> Iterator[Context]:
    """An experiment whose exploration is a file of these runs."""
    write(folder / "runs.jsonl", runs)
    explore = {"trajectories": str(folder / "runs.jsonl")}
    tasks = {"explore": None, **(tasks or {})}
    with experiment(
        folder, hunts(range(500, 510)), TREASURE, tasks, explore=explore, **changes
    ) as c:
        yield c


def numbers(tasks: Sequence[str]) -> list[int]:
    return sorted(int(task.rpartition("/")[2]) for task in tasks)


def explored(context: Context) -> StageWriter:
    out = StageWriter(context.run_dir / "explore")
    out.folder.mkdir(parents=True, exist_ok=True)
    explored_before(context, out)
    return out


@pytest.mark.usefixtures("the_example_s_folder")
def test_the_runs_are_those_of_the_file_and_open_as_the_run_s_do(tmp_path: Path) -> None:
    runs = [*hunts([0, 1, 2]), ERROR]
    with given(tmp_path, runs, prompt={"instruction": "Open the chest."}) as context:
        assert numbers(context.parts().explore.task_ids) == [0, 1, 2]
        with pytest.warns(RowWarning, match=r"10 of 10 runs were played by another instruction"):
            out = explored(context)
    read = read_trajectories(out.folder / "trajectories.jsonl")
    assert [t.steps for t in read] == [t.steps for t in sorted(runs, key=lambda t: t.task_id)]
    assert all(t.prompt[0].content.startswith("Open the chest.\nYou are in the") for t in read)
    assert {len(t.prompt) for t in read} == {1}
    figures = {k: out.metrics[k] for k in ("num_trajectories", "num_errors", "num_reopened")}
    assert figures == {"num_trajectories": 10, "num_errors": 1, "num_reopened": 10}
    assert "num_failed" not in out.metrics, "the report counts the error; nothing failed here"


@pytest.mark.parametrize("name", ["new", "dev"])
@pytest.mark.usefixtures("the_example_s_folder")
def test_tasks_that_are_tested_are_left_out_and_said(tmp_path: Path, name: str) -> None:
    """A test panel may be called as the dev panel's key is."""
    train = {"test": {name: {"split": "train", "count": 3}}, "dev": {"split": "train", "count": 2}}
    with experiment(tmp_path, hunts(range(500, 510)), TREASURE, train) as context:
        tested = context.parts().evaluated
    runs = [*hunts(numbers(tested)), *hunts(n for n in range(5) if n not in numbers(tested))]
    elsewhere = replace(runs[0], task_id="another/world/7")
    with given(tmp_path, [*runs, elsewhere, *hunts([20_000])], train) as context:
        said = r"5 tested on, 2 not in the environment's train fold"
        with pytest.warns(TasksPassedOver, match=said):
            parts = context.parts()
    assert parts.evaluated == tested, "whatever is learned from, the same is tested"
    seen = {
        opening for part in (*parts.test.values(), parts.dev) for opening in part.openings.values()
    }
    assert parts.explore.openings
    assert not seen & set(parts.explore.openings.values())


@pytest.mark.usefixtures("the_example_s_folder")
def test_so_many_of_the_file_s_tasks_and_demonstrated_ones_too(tmp_path: Path) -> None:
    with given(tmp_path, hunts(range(500, 510)), {"explore": 8}) as context:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TasksPassedOver)  # two of them open alike
            parts = context.parts()
    assert len(parts.explore.task_ids) == 8
    assert set(parts.demonstrations.task_ids) & set(parts.explore.task_ids)
    with given(tmp_path, hunts([0, 1]), {"explore": 9}) as context:
        with pytest.raises(InvalidInput, match=r"has runs of 2 tasks, 2 of .* asks for 9"):
            context.parts()
    with given(tmp_path, hunts([20_000])) as context:
        with pytest.raises(InvalidInput, match=r"1 tasks \(1 not in .*train fold\), 0 of which"):
            context.parts()


@pytest.mark.usefixtures("the_example_s_folder")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: replace(t, prompt=()), r"treasure/train/0: a run has no prompt"),
        (
            lambda t: replace(t, prompt=(Message("user", "You are in the cellar."),)),
            r"runs.jsonl: treasure/train/0: a run opens with .*cellar.*; this environment has",
        ),
    ],
)
def test_a_run_of_another_opening_is_refused(
    tmp_path: Path, change: Callable[[Trajectory], Trajectory], said: str
) -> None:
    first, *others = hunts([0])
    with given(tmp_path, [*others, change(first)]) as context:
        with pytest.raises(InvalidInput, match=said):
            explored(context)


def test_files_that_cannot_be_learned_from_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    with pytest.raises(InvalidInput, match=r"^explore.trajectories: .*runs.jsonl: no such file"):
        read_explored(file)
    write(file, [ERROR])
    with pytest.raises(InvalidInput, match=r"has 1 runs, none of which was played to its end"):
        read_explored(file)
    write(file, [replace(hunts([0])[0], total_return=60.0)])
    with pytest.raises(InvalidInput, match=r"total_return 60 is outside"):
        read_explored(file)
    calls = (ToolCall("go", '{"to":"hall"}', "1"),)
    step = Step(action_of(calls), "The hall.", tool_calls=calls)
    write(file, [replace(hunts([0])[0], steps=(step,))])
    with pytest.raises(InvalidInput, match=r"treasure/train/0 calls tools; .*`w2stree train`"):
        read_explored(file)


def test_packed_files_journals_and_folders_are_read(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl.gz", hunts([1]))
    with Journal(tmp_path / "b.journal") as journal:
        for index, trajectory in enumerate(hunts([3])):
            journal.append(replace(trajectory, origin=Origin(sample_index=index, seed=0)))
    assert numbers(list(read_explored(tmp_path).by_task)) == [1, 3]
    assert numbers(list(read_explored(tmp_path / "a.jsonl.gz").by_task)) == [1]
    assert read_explored(tmp_path).num_runs == 6


@pytest.mark.parametrize(
    ("explore", "tasks", "said"),
    [
        ({}, {}, r"explore: give exactly one of samplings .* and trajectories"),
        ({"trajectories": "r.jsonl", "samplings": "paper"}, {}, r"explore: give exactly one of"),
        ({"samplings": "paper"}, {"explore": None}, r"tasks.explore: is missing"),
    ],
)
def test_explored_is_what_is_given_or_what_is_played(
    tmp_path: Path, explore: dict[str, Any], tasks: dict[str, Any], said: str
) -> None:
    record = smallest(TREASURE, {"demonstrations": 2, "explore": 2, "test": 2, **tasks})
    file = tmp_path / "smallest.yaml"
    file.write_text(json.dumps({**record, "explore": explore}))
    with pytest.raises(InvalidInput, match=said):
        load_config(file)


def test_a_run_from_given_runs_goes_from_file_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    write(tmp_path / "shown.jsonl", hunts(range(500, 506)))
    write(tmp_path / "runs.jsonl.gz", hunts(range(5)))
    tasks = {"demonstrations": 3, "test": 1}
    game = {**TREASURE, "max_steps": 5, "num_processes": 1}
    config = smallest(game, tasks, demonstrations="shown.jsonl", decoding={"thought": False})
    config["explore"] = {"trajectories": "runs.jsonl.gz"}
    for role in ("weak", "strong"):
        config[role]["sft"] = {"num_epochs": 1, "learning_rate": 1e-3}  # no run is theirs
    del config["ceiling"], config["mcts_sft"]
    ran = run(config, tmp_path)
    assert ran.returncode == 0, ran.stderr[-4000:]
    run_dir = tmp_path / "runs" / "smallest"
    report = json.loads((run_dir / "report" / "report.json").read_text(encoding="utf-8"))
    assert tuple(row["method"] for row in report["rows"]) == METHODS[:-2]
    text = (run_dir / "report" / "report.html").read_text(encoding="utf-8")
    assert "runs.jsonl.gz has runs of 5 tasks, played before; these runs, fail" in text
    assert "5 explored tasks, whose runs are of runs.jsonl.gz" in text
    announced = stages_run(ran.stdout)
    assert announced.index("explore") < announced.index("tree_dpo")

    monkeypatch.chdir(tmp_path)

    def out_of_date() -> list[str]:
        with closing(Context(load_config("smallest.yaml"), run_dir)) as context:
            directory = context.directory()
            return [s.name for s, _ in stages(context) if not directory.is_current(s)]

    assert out_of_date() == []
    write(tmp_path / "runs.jsonl.gz", hunts(range(6)))
    assert out_of_date() == ["tasks", "explore"]
