"""Demonstrations from a file: which count, how they are shown again, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.demonstrated import experiment
from support.treasure_hunters import hunt, hunts

from w2stree import (
    InvalidInput,
    Message,
    Step,
    ToolCall,
    Trajectory,
    read_trajectories,
    write_trajectories,
)
from w2stree.experiment.demonstrated import Demonstrated, read_demonstrated
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages import demonstrate
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import action_of

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("the_example_s_folder")]


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


@pytest.mark.parametrize("name", ["absent.jsonl", "no.jsonl"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "no.jsonl").write_text("no trajectory\n")
    with pytest.raises(InvalidInput, match=rf"^demonstrations: .*{name}"):
        read_demonstrated(tmp_path / name, 1.0)


def test_a_task_that_the_expert_cannot_show_costs_this_task_alone(tmp_path: Path) -> None:
    doors = {
        "name": "gymnasium",
        "make": "support.games:Doors",
        "expert": "support.games:knows_even",
        "score_range": [0, 10],
        "max_steps": 11,
    }
    often = {"evaluate": {"num_bootstrap": 100, "success_threshold": 0.1}}
    with (
        experiment(tmp_path, None, doors, {"demonstrations": 6}, **often) as context,
        pytest.warns(match=r"not finish \d of 6 tasks; .* \d failed \(the first one: .*is known"),
    ):
        asked = context.parts().demonstrations.task_ids
        demonstrate.demonstrations(context, StageWriter(tmp_path))
    known = [task for task in asked if int(task.rpartition("/")[2]) % 2 == 0]
    assert 0 < len(known) < 6
    shown = read_trajectories(tmp_path / "trajectories.jsonl")
    assert sorted(t.task_id for t in shown) == sorted(known)


def test_runs_that_call_tools_are_no_demonstrations(tmp_path: Path) -> None:
    """Shown again they would be the words `Action: dig {…}`, which nobody said."""
    calls = (ToolCall("dig", '{"where":"here"}'),)
    caller = replace(made_up("a", 0, 1.0), steps=(Step(action_of(calls), "", tool_calls=calls),))
    write_trajectories(tmp_path / "shown.jsonl", [made_up("b", 2, 1.0), caller])
    with pytest.raises(InvalidInput, match="a calls tools; demonstrations are turns in words"):
        read_demonstrated(tmp_path / "shown.jsonl", 1.0)
