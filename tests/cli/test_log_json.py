"""`--log-json` of real commands: the fields that docs/watching.md names, and no others."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("pydantic")

from support.json_lines import documented, json_lines, last

from w2stree.cli.app import main
from w2stree.trajectories.files import read_trajectories, write_trajectories

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.SamplesUnfinished"),
]

CONFIG = """
name: doors
environment:
  {name: gymnasium, make: "support.games:Jammed", num_processes: 1, max_steps: 3,
  score_range: [0, 10], options: {jam: JAM, nth: 2}}
tasks: {split: train, count: 4}
policy: {name: random}
samplings: [{temperature: 1.0}, {temperature: 0.5}]
max_attempts: 1
"""


@pytest.fixture
def explored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    """A run directory, and what was said on standard error."""
    (tmp_path / "jam").touch()
    (tmp_path / "doors.yaml").write_text(CONFIG.replace("JAM", str(tmp_path / "jam")))
    run = tmp_path / "run"
    main(["explore", str(tmp_path / "doors.yaml"), "--run-dir", str(run), "--log-json"])
    return run, capsys.readouterr().err


def test_an_exploration_tells_its_figures_as_fields(explored: tuple[Path, str]) -> None:
    told = last(explored[1], "episodes")
    assert (told["done"], told["total"]) == (8, 8)
    assert 0 < told["num_errors"] < 8 and 0 <= told["success"] <= 1
    [(cause, count)] = told["causes"].items()
    assert "jammed" in cause and told["cause"] == cause and count == told["num_errors"]
    assert told["per_s"] > 0 and told["seconds_left"] == 0
    assert told["task"].startswith("Jammed/train/")
    assert set(told) <= documented()
    assert "said" not in told


def test_a_verification_tells_what_differs(
    explored: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, errors = explored
    num_played = 8 - last(errors, "episodes")["num_errors"]
    assert main(["verify", str(run), "--trust", "--log-json"]) == 0
    told = last(capsys.readouterr().err, "verify episodes")
    assert (told["done"], told["total"], told["num_differing"]) == (num_played, num_played, 0)
    assert set(told) <= documented()
    played = [t for t in read_trajectories(run / "episodes.journal") if t.status != "error"]
    changed = [
        replace(t, steps=(replace(t.steps[0], observation="?"), *t.steps[1:])) for t in played
    ]
    write_trajectories(run / "trajectories.jsonl", changed)
    assert main(["verify", str(run / "trajectories.jsonl"), "--trust", "--log-json"]) == 1
    told = last(capsys.readouterr().err, "verify episodes")
    assert told["num_differing"] == told["total"] > 0


@pytest.mark.train
def test_a_training_tells_each_step_s_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl")
    from support.tiny_models import BAD, GOOD, tiny_model, tiny_tokenizer

    from w2stree.training.models import save_model

    tokenizer = tiny_tokenizer()
    save_model(tmp_path / "m", tiny_model(tokenizer), tokenizer)
    write_trajectories(tmp_path / "runs.jsonl", [GOOD, BAD])
    options = ["--model", str(tmp_path / "m"), "--output", str(tmp_path / "out")]
    options += ["--holdout", "0", "--epochs", "2", "--lr", "1e-3", "--log-json"]
    assert main(["train", "sft", str(tmp_path / "runs.jsonl"), *options]) == 0
    told = last(capsys.readouterr().err, "training steps")
    logged = (tmp_path / "out" / "losses.jsonl").read_text().splitlines()
    assert told["done"] == told["total"] == len(logged)
    of = json.loads(logged[told["step"] - 1])
    assert of["step"] == told["step"] == len(logged) - 1, "a step is logged after it is told of"
    assert told["loss"] == pytest.approx(of["loss"])
    assert {"what", "done", "total", "loss", "seconds_left"} <= set(told)
    assert len(json_lines(capsys.readouterr().err)) == 0


@pytest.mark.train
def test_a_stage_that_plays_tells_its_mean_and_its_errors(tmp_path: Path) -> None:
    """How often it is shown hangs on the machine; what it is told does not."""
    pytest.importorskip("trl")
    from support.tiny_models import BAD, GOOD

    from w2stree.experiment.config import load_config
    from w2stree.experiment.stages.bar import Figures, Silent, Update
    from w2stree.experiment.stages.context import Context

    told: list[Figures] = []

    class Keeping(Silent):
        def steps(self, what: str) -> AbstractContextManager[Update]:
            return nullcontext(lambda done, total, figures: told.append(figures))

    context = Context(load_config("miniature"), tmp_path, bar=Keeping())
    broken = replace(BAD, status="error", total_return=0.0, info={"error": "jammed"})
    context.told("evaluate_x", [GOOD, broken], 2)
    assert told[-1]["mean_return"] == GOOD.total_return
    assert set(told[-1]) == {"mean_return", "num_errors", "cause"} <= documented()
