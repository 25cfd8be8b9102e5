"""What a training tells other services: tensorboard's files; absent packages are named."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("trl")

from support.tree_training import config, trainer

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
