"""Verification of a real run: what is recorded is found again, what was changed is found out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

pytest.importorskip("textworld_express")
pytest.importorskip("pydantic")

from w2stree.cli.app import main
from w2stree.environments.hosting.limits import Limits
from w2stree.environments.options import TextWorldExpressOptions
from w2stree.experiment.recorded_run import read_run
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.rollouts.verification import verify
from w2stree.trajectories.files import write_trajectories
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.react import UNPARSED
from w2stree.turns.turn import AgentTurn

pytestmark = pytest.mark.java

OPTIONS = TextWorldExpressOptions(
    game="cookingworld",
    params={"numLocations": 1, "numIngredients": 1, "includeDoors": 0},
    max_steps=8,
    num_processes=2,
)


class Mumbling(RandomPolicy):
    """Random play whose first turn has no action."""

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn]:
        return [
            turn if episode.steps else AgentTurn("I wonder.")
            for episode, turn in zip(episodes, super().act(episodes), strict=True)
        ]


@pytest.fixture(scope="module")
def played() -> list[Trajectory]:
    plans = [
        EpisodePlan(f"cookingworld/train/{seed}", sample, Sampling(), 3)
        for seed in range(3)
        for sample in range(2)
    ]
    with OPTIONS.pool() as pool:
        return list(rollout(pool, Mumbling(by_verb=True), plans, instruction="Cook."))


@pytest.fixture
def run(tmp_path: Path, played: list[Trajectory]) -> Path:
    write(tmp_path, played)
    return tmp_path


def test_an_episode_cut_short_was_not_over(played: list[Trajectory]) -> None:
    whole = next(t for t in played if len(t.steps) > 3)
    cause = replace(whole.origin, truncated_by="the model has 100 positions")
    steps, score = whole.steps[:2], sum(s.reward or 0.0 for s in whole.steps[:2])
    cut = replace(whole, steps=steps, total_return=score, status="truncated", origin=cause)
    with OPTIONS.pool() as pool:
        assert [found for _, found in verify(pool, [cut])] == [[]]
        ((_, found),) = verify(pool, [replace(cut, origin=whole.origin)])
    assert [(d.what, d.recorded, d.replayed) for d in found] == [("status", "truncated", "running")]


def write(run: Path, trajectories: list[Trajectory]) -> None:
    config = {"name": "test", "environment": asdict(OPTIONS)}
    (run / "config.json").write_text(json.dumps(config))
    (run / "explore").mkdir(exist_ok=True)
    write_trajectories(run / "explore" / "trajectories.jsonl", trajectories)


def test_a_run_is_found_again_as_it_was_recorded(
    run: Path, played: list[Trajectory], capsys: pytest.CaptureFixture[str]
) -> None:
    assert all(t.steps[0].observation == UNPARSED for t in played)
    assert {t.status for t in played} == {"truncated"}
    assert main(["verify", str(run)]) == 0
    num_steps = sum(len(t.steps) for t in played)
    expected = f"6 trajectories of {num_steps} steps replayed; 0 differ; 0 error rows skipped\n"
    assert capsys.readouterr().out == expected


def test_whatever_was_changed_is_found(run: Path, played: list[Trajectory]) -> None:
    def changed(trajectory: Trajectory, number: int, **fields: object) -> Trajectory:
        steps = list(trajectory.steps)
        steps[number - 1] = replace(steps[number - 1], **fields)  # type: ignore[arg-type]
        return replace(trajectory, steps=tuple(steps))

    prompt = played[0].prompt[0]
    other_task = replace(prompt, content=prompt.content.replace("hungry", "angry"))
    tampered = {
        ("observation", 3): changed(played[0], 3, observation="Nothing happens, really."),
        ("reward", 2): changed(played[1], 2, reward=0.5),
        ("return", 8): replace(played[2], total_return=played[2].total_return + 0.25),
        ("status", 8): replace(played[3], status="done"),
        ("status", 5): replace(played[4], steps=played[4].steps[:5]),
        ("statement", 0): replace(played[0], prompt=(other_task,)),
    }
    with OPTIONS.pool() as pool:
        found = list(verify(pool, list(tampered.values())))
    for (what, step), (trajectory, differences) in zip(tampered, found, strict=True):
        assert trajectory is tampered[what, step]
        assert (differences[0].what, differences[0].step) == (what, step)
        # Steps that were cut off may have paid: the return is the only consequence there is.
        assert {d.what for d in differences[1:]} <= {"return"}
        assert differences[0].sample_index == trajectory.origin.sample_index


def test_a_difference_is_printed_and_the_exit_code_is_one(
    run: Path, played: list[Trajectory], capsys: pytest.CaptureFixture[str]
) -> None:
    step = played[2].steps[4]
    steps = list(played[2].steps)
    steps[4] = replace(step, observation=f"{step.observation} Or so.")
    died = replace(played[0].origin, error="it died")
    error = replace(played[0], status="error", origin=died)
    write(run, [error, *played[1:2], replace(played[2], steps=tuple(steps)), *played[3:]])
    assert main(["verify", str(run / "explore" / "trajectories.jsonl")]) == 1
    out = capsys.readouterr().out
    sample = played[2].origin.sample_index
    assert f"{played[2].task_id}, sample {sample}, step 5: observation differs" in out
    assert "Or so." in out
    assert out.count("replayed ") == 1
    assert "; 1 differ; 1 error rows skipped" in out


def test_a_sample_is_the_same_for_the_same_seed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(run), "--sample", "2", "--seed", "5"]) == 0
    assert capsys.readouterr().out.startswith("2 trajectories of ")


def test_a_replay_that_fails_is_a_difference(played: list[Trajectory]) -> None:
    options = replace(OPTIONS, limits=Limits(memory_limit_mb=1))
    with options.pool() as pool:
        ((_, differences),) = verify(pool, played[:1])
    assert [d.what for d in differences] == ["failure"]
    assert "memory_limit_mb is 1" in differences[0].replayed


def test_stages_in_the_making_and_other_games_are_left_out(
    run: Path, played: list[Trajectory]
) -> None:
    for stage in (".evaluate.partial", "random_play"):
        (run / stage).mkdir()
        write_trajectories(run / stage / "trajectories.jsonl", played)
    found = read_run(run)
    assert found.environment == OPTIONS
    assert found.trajectories == played
    assert [file.parent.name for file in found.skipped] == ["random_play"]


def test_a_run_of_an_older_layout_is_found_too(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["environment"] |= config["environment"].pop("limits")
    (run / "config.json").write_text(json.dumps(config))
    assert read_run(run).environment == OPTIONS


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "no config.json"),
        ("{", "not valid JSON"),
        ('{"name": "x"}', "has no `environment` to play in"),
        ('{"environment": {"name": "chess"}}', "config.json: environment.name: is 'chess'; use"),
    ],
)
def test_what_is_no_run_is_named(
    config: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "a" / "b" / "run"
    run.mkdir(parents=True)
    if config is not None:
        (run / "config.json").write_text(config)
    assert main(["verify", str(run)]) == 2
    assert message in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "nowhere")]) == 2
    assert "no such run directory" in capsys.readouterr().err
