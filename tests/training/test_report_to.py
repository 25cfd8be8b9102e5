"""What a training tells other services: tensorboard's files; absent packages are named."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from support.event_files import scalars
from support.train_calls import model, runs, sft_args
from support.tree_training import config, trainer

import w2stree as w2s
from w2stree.errors import MissingDependency
from w2stree.training.trackers import refuse_absent_trackers

pytestmark = pytest.mark.train


@pytest.mark.parametrize("service", ["tensorboard", "trackio", "wandb"])
def test_a_service_that_is_not_installed(service: str, tmp_path: Path) -> None:
    if find_spec(service):
        pytest.skip(f"{service} is installed")
    args = config("sft", tmp_path, report_to=[service])
    with pytest.raises(MissingDependency, match=f"report_to='{service}' .*: pip install {service}"):
        refuse_absent_trackers(args.report_to)
    with pytest.raises(MissingDependency, match="pip install"):
        trainer("sft", tmp_path, report_to=[service])


def test_tensorboard_s_files_have_the_loss_of_each_step(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    made = trainer("dpo", tmp_path, report_to=["tensorboard"])
    made.train()
    [file] = tmp_path.rglob("events.out.*")
    told = accumulators.EventAccumulator(str(file)).Reload()
    losses = [event.value for event in told.Scalars("train/loss")]
    logged = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
    assert losses == pytest.approx(logged)
    assert "train/rewards/accuracies" in told.Tags()["scalars"]


def test_curves_of_a_call_outlive_an_interrupt_and_stay_with_the_model(tmp_path: Path) -> None:
    """Where they go is no part of what is trained: other trackers go on with it."""
    pytest.importorskip("tensorboard")

    def train(name: str, *, report_to: list[str], progress: Any = None) -> None:
        args = sft_args(max_steps=4, save_steps=2, save_strategy="steps", logging_steps=1)
        args.report_to = report_to
        w2s.train_sft(
            runs(), model=model(), output_dir=tmp_path / name, args=args, holdout=0,
            progress=progress,
        )  # fmt: skip

    def stop_at_3(step: int, *_: Any) -> None:
        if step == 3:
            raise KeyboardInterrupt

    train("silent", report_to=[])
    for last in ("tensorboard", ""):
        name = f"cut{last}"
        with pytest.raises(KeyboardInterrupt):
            train(name, report_to=["tensorboard"], progress=stop_at_3)
        train(name, report_to=[last] if last else [])
        sessions = sorted((tmp_path / name / "runs").iterdir())
        assert all(session.name.startswith(f"{name}.20") for session in sessions)
        assert [step for step, _ in scalars(sessions[0], "train/loss")] == [1, 2]
        assert (tmp_path / name / "losses.jsonl").read_text().count("\n") == 4
    _, second = sorted((tmp_path / "cuttensorboard" / "runs").iterdir())
    assert [step for step, _ in scalars(second, "train/loss")] == [3, 4]
    cards = [(tmp_path / name / "README.md").read_text() for name in ("silent", "cut")]
    assert "report_to" not in cards[0] and "tensorboard" not in cards[1]
    assert not (tmp_path / "silent" / "runs").exists()
