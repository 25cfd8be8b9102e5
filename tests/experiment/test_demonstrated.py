"""Demonstrations from a file: which count, which tasks they leave to explore, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.experiments import run, smallest
from support.treasure_hunters import EXAMPLE, hunt, hunts

from w2stree import (
    InvalidInput,
    Merging,
    Message,
    Step,
    ToolCall,
    Trajectory,
    read_trajectories,
    write_trajectories,
)
from w2stree.errors import MissingDependency
from w2stree.experiment.checks import check
from w2stree.experiment.config import load_config
from w2stree.experiment.demonstrated import Demonstrated, read_demonstrated
from w2stree.experiment.parts import Parts
from w2stree.experiment.pipeline import stages
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages import choose, demonstrate
from w2stree.experiment.stages.context import Context
from w2stree.training.optimisation import Lora
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import action_of

pytestmark = pytest.mark.train

TREASURE = {"name": "gymnasium", "make": "own_environment:treasure", "max_steps": 8}
DOORS = {"name": "gymnasium", "make": "support.games:Doors", "options": {"admissible": "none"}}


@contextmanager
def experiment(
    folder: Path,
    shown: Sequence[Trajectory] | None,
    environment: dict[str, Any] = TREASURE,
    tasks: dict[str, Any] | None = None,
    **changes: Any,
) -> Iterator[Context]:
    """An experiment in the game of the example, with these trajectories in its file."""
    asked: dict[str, Any] = {"demonstrations": 2, "explore": 2, "test": 2, **(tasks or {})}
    if shown is not None:
        write_trajectories(folder / "shown.jsonl", shown)
        asked["demonstrations_from"] = str(folder / "shown.jsonl")
    file = folder / "smallest.yaml"
    file.write_text(json.dumps(smallest({**environment, "num_processes": 1}, asked, **changes)))
    with closing(Context(load_config(file), folder / "run")) as context:
        yield context


@pytest.fixture(autouse=True)
def _the_example_s_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE.parent)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parents[1] / "tests"))


def numbers(tasks: Sequence[str]) -> list[int]:
    return [int(task.rpartition("/")[2]) for task in tasks]


def made_up(task_id: str, num_steps: int, total_return: float, **changes: Any) -> Trajectory:
    steps = tuple(Step(f"go {i}", "") for i in range(num_steps))
    return replace(Trajectory(task_id, (), steps, total_return, "done"), **changes)


def test_the_best_success_of_each_task_counts(tmp_path: Path) -> None:
    best = made_up("b", 2, 1.0)
    write_trajectories(
        tmp_path / "shown.jsonl",
        [
            made_up("b", 3, 1.0),
            best,
            replace(best, info={"later": True}),
            made_up("b", 1, 0.8),
            made_up("a", 4, 0.7),
            made_up("late", 4, 1.0, status="truncated"),
            made_up("bad", 4, 0.6),
            made_up("silent", 4, 1.0, steps=(Step("", "?"), Step("go", "gone"))),
            made_up("unsayable", 4, 1.0, steps=(Step("go\nhome", "gone"),)),
            made_up("idle", 0, 1.0),
        ],
    )
    found = read_demonstrated(tmp_path / "shown.jsonl", 0.7)
    assert found.by_task == {"b": best, "a": made_up("a", 4, 0.7)}
    assert (found.num_read, found.num_successful) == (10, 5)


def test_a_return_on_another_scale_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    write_trajectories(path, [made_up("t/1", 2, 60.0)])
    with pytest.raises(InvalidInput, match=r"runs.jsonl: task 't/1': total_return 60 is outside"):
        read_demonstrated(path, 1.0)


def test_a_journal_is_read_too(tmp_path: Path) -> None:
    with Journal(tmp_path / "explore.journal") as journal:
        for index, trajectory in enumerate(hunts([3])):
            journal.append(replace(trajectory, origin=Origin(sample_index=index, seed=0)))
    assert list(read_demonstrated(tmp_path / "explore.journal", 1.0).by_task) == [
        "treasure/train/3"
    ]


def test_thoughts_are_what_stands_before_the_action() -> None:
    steps = (Step("a", "", "Thought: first\nAction: a"), Step("b", ""), Step("c", "", "Action: c"))
    found = Demonstrated(Path("x"), {"t": Trajectory("t", (), steps, 1.0, "done")}, 1, 1)
    assert [(turn.thought, turn.action) for turn in found.turns("t")] == [
        ("first", "a"), ("", "b"), ("", "c")
    ]  # fmt: skip


def test_parts_are_drawn_and_share_nothing(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts([9, 7, 3, 1, 0]), ceiling=None) as context:
        check(context)
        parts = context.parts()
        assert set(numbers(parts.demonstrations.task_ids)) < {9, 7, 3, 1, 0}
        (test,) = parts.test.values()
        assert all(number >= 20_000 for number in numbers(test.task_ids))
        assert all(number < 1000 for number in numbers(parts.explore.task_ids))
        assert [len(part.openings) for part in parts.by_name().values()] == [2, 2, 2]
        assert len(parts.taken()) == 6


def test_tasks_are_the_tasks_seed_s_alone(tmp_path: Path) -> None:
    def drawn(**changes: Any) -> Parts:
        with experiment(tmp_path, hunts(range(8)), **changes) as context:
            return context.parts()

    assert drawn() == drawn(seed=5)
    assert drawn() != drawn(tasks={"seed": 1})
    more = drawn(tasks={"demonstrations": 3, "explore": 4})
    assert more.test == drawn().test, "whatever is learned from, the same is tested"


def test_tasks_that_are_tested_on_are_not_demonstrated(tmp_path: Path) -> None:
    tasks = {"test_split": "train", "demonstrations": 1, "explore": 1, "test": 4}
    same = {"name": "gymnasium", "make": "support.games:Circular"}
    shown = [replace(doors(i), task_id=f"round/{i}") for i in range(6)]
    with experiment(tmp_path, shown, same, tasks) as context:
        parts = context.parts()
    used = [*parts.demonstrations.task_ids, *parts.explore.task_ids, *parts.all_test]
    assert sorted(numbers(used)) == [0, 1, 2, 3, 4, 5]


def test_what_was_chosen_is_recorded_and_read_again(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts([9, 7, 3, 1, 0])) as context:
        out = StageWriter(tmp_path / "run" / "tasks")
        out.folder.mkdir(parents=True)
        choose.tasks(context, out)
        chosen = context.parts()
    assert out.metrics["tasks.explore"]["num_tasks"] == 2
    with experiment(tmp_path, hunts([9, 7, 3, 1, 0])) as context:
        assert context.parts() == chosen
        assert context._pool is None, "no environment was asked"
    with experiment(tmp_path, hunts([17, 15])) as context:  # another file, other demonstrations
        assert set(numbers(context.parts().demonstrations.task_ids)) == {17, 15}


def test_panels_of_test_tasks_are_chosen_each_from_its_fold(tmp_path: Path) -> None:
    panels = {"new": {"split": "train", "count": 3}, "unseen": {"count": 2}}
    with experiment(tmp_path, hunts(range(9)), tasks={"test": panels}) as context:
        parts = context.parts()
    assert [len(parts.test[name].openings) for name in ("new", "unseen")] == [3, 2]
    assert all(number < 1000 for number in numbers(parts.test["new"].task_ids))
    assert all(number >= 20_000 for number in numbers(parts.test["unseen"].task_ids))
    assert parts.all_test == [*parts.test["new"].task_ids, *parts.test["unseen"].task_ids]


def test_the_file_s_demonstrations_are_played_before_anything_is_trained(tmp_path: Path) -> None:
    with experiment(tmp_path, hunts([0, 1, 2])) as context:
        names = [spec.name for spec, _ in stages(context)]
        assert names[:3] == ["tasks", "demonstrations", "ceiling_demonstrations"]
        external = {spec.name: spec.external for spec, _ in stages(context)}
        assert external["demonstrations"] == (tmp_path / "shown.jsonl",)


@pytest.mark.parametrize("thought", [True, False])
def test_what_is_shown_opens_and_speaks_as_the_models_will(tmp_path: Path, thought: bool) -> None:
    with experiment(
        tmp_path,
        hunts([0, 1]),
        prompt={"instruction": "Open the chest."},
        decoding={"thought": thought},
    ) as context:
        out = StageWriter(tmp_path)
        demonstrate.demonstrations(context, out)
    first = read_trajectories(tmp_path / "trajectories.jsonl")[0]
    (message,) = first.prompt
    assert message.content.startswith("Open the chest.\nYou are in the hall.")
    before = "Thought: The key first.\n" if thought else ""
    assert first.steps[0].response == f"{before}Action: {first.steps[0].action}"
    assert first.steps[-1].reward == 0.5


def altered(trajectory: Trajectory, **changes: Any) -> list[Trajectory]:
    """As the second demonstration of a file."""
    return [hunts([0])[-1], replace(trajectory, **changes)]


LAST = hunts([1])[-1]


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (
            altered(LAST, prompt=(Message("user", "You are in a maze."),)),
            r"treasure/train/1: the task's opening is 'You are in a maze.' there; this environment "
            r"has 'You are in the hall.*Play it again, or leave it out",
        ),
        (
            altered(LAST, steps=(LAST.steps[0], replace(LAST.steps[1], observation="Ouch."))),
            r"treasure/train/1: the answer to step 2, 'take key', is 'Ouch.' there",
        ),
        (
            altered(LAST, steps=LAST.steps[:3]),
            r"there; in this environment it has not ended after 3 \(",
        ),
        (
            altered(hunt(1, [*["go garden", "go attic"] * 3, *(s.action for s in LAST.steps)])),
            r"ended after 10 steps there; in this environment it has not ended after 8 \(see env",
        ),
    ],
)
def test_what_the_environment_answers_otherwise_is_refused(
    tmp_path: Path, shown: list[Trajectory], message: str
) -> None:
    with (
        experiment(tmp_path, shown, ceiling=None) as context,
        pytest.raises(InvalidInput, match=message),
    ):
        demonstrate.demonstrations(context, StageWriter(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shown": None},
            r"gymnasium has no expert .*: set tasks.demonstrations_from to a file .*or explore",
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


def test_an_embedding_that_is_not_installed_is_missed_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2stree.forest.embedding.importlib.util.find_spec", lambda name: None)
    merging = Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2")
    with experiment(tmp_path, hunts(range(4))) as context:
        context.config = context.config.model_copy(update={"merge": merging})
        with pytest.raises(MissingDependency, match=r"pip install 'w2stree\[similarity\]'"):
            check(context)


@pytest.mark.parametrize("name", ["absent.jsonl", "no.jsonl"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "no.jsonl").write_text("no trajectory\n")
    with pytest.raises(InvalidInput, match=rf"^tasks.demonstrations_from: .*{name}"):
        read_demonstrated(tmp_path / name, 1.0)


def doors(seed: int) -> Trajectory:
    prompt = (Message("user", f"{seed + 1} doors are before you."),)
    steps = tuple(Step("open", f"{seed - i} doors.") for i in range(seed + 1))
    return Trajectory(f"Doors/train/{seed}", prompt, steps, 1.0, "done")


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
    tasks = {"demonstrations": 2, "demonstrations_from": "shown.jsonl", "explore": 2, "test": 2}
    refused = run(smallest(TREASURE, tasks), tmp_path)
    assert refused.returncode == 2
    last = refused.stderr.splitlines()[-1]  # before it: how far the choice of tasks was
    assert last.startswith("w2stree: tasks.demonstrations: 2 are asked for")
    assert not (tmp_path / "runs").exists()


def test_runs_that_call_tools_are_no_demonstrations(tmp_path: Path) -> None:
    """Shown again they would be the words `Action: dig {…}`, which nobody said."""
    calls = (ToolCall("dig", '{"where":"here"}'),)
    caller = replace(made_up("a", 0, 1.0), steps=(Step(action_of(calls), "", tool_calls=calls),))
    write_trajectories(tmp_path / "shown.jsonl", [made_up("b", 2, 1.0), caller])
    with pytest.raises(InvalidInput, match="a calls tools; demonstrations are turns in words"):
        read_demonstrated(tmp_path / "shown.jsonl", 1.0)
