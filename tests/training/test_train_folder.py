"""What `train_dpo` and `train_sft` leave: a folder that is whole or not there, and what goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.train_calls import model, runs, sft_args
from transformers import AutoModelForCausalLM

import w2stree as w2s
from w2stree.errors import InvalidInput, RowWarning
from w2stree.training.model_folder import ModelFolder

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced"),
]


def test_a_folder_that_holds_something_is_not_trained_into(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="holds files already"):
        w2s.train_sft(runs(), model=model(), output_dir=tmp_path, args=sft_args())
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (".", r"\.: is a link, a mount or the current directory.* name a new folder in it"),
        ("link", "link: is a link, a mount or the current directory"),
        ("file/out", "file/out: .*/file is no folder"),
        ("/proc/out/deep", "/proc/out/deep: no folder can be made in /proc"),
    ],
)
def test_where_no_folder_can_be_put_is_told_before_the_training(
    output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path / "empty" if output == "." else tmp_path)
    with pytest.raises(InvalidInput, match=message):
        w2s.train_sft(runs(), model="never opened", output_dir=output)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / "out",
            args=sft_args(),
            holdout=0,
            progress=stop,
        )
    assert not list(tmp_path.iterdir())


def test_an_interrupted_call_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def train(name: str, **options: Any) -> dict[str, Any]:
        w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / name,
            args=sft_args(max_steps=4, save_steps=2, save_strategy="steps", logging_steps=1),
            holdout=0,
            **options,
        )
        return dict(AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict())

    def stop_at_3(step: int, *_: Any) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("cut", progress=stop_at_3)
    with pytest.raises(InvalidInput, match=r"an interrupted training is there.*differs in.*seed"):
        train("cut", seed=8)
    steps: list[int] = []
    resumed = train("cut", progress=lambda step, *_: steps.append(step))
    assert steps == [3, 4]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "whole"]
    curve = (tmp_path / "cut" / "losses.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in curve] == [1, 2, 3, 4]


@pytest.mark.parametrize("torn", ["", '{"global_step": 4, "log_hist'])
def test_a_checkpoint_that_a_kill_cut_off_is_not_gone_on_from(tmp_path: Path, torn: str) -> None:
    """transformers writes its state in place, and last."""
    folder = ModelFolder(tmp_path / "out", is_writer=True)
    for name, state in (("2", '{"log_history": [{"loss": NaN}]}'), ("4", torn)):
        checkpoint = folder.partial / f"checkpoint-{name}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "trainer_state.json").write_text(state)
    assert folder.last_checkpoint() == folder.partial / "checkpoint-2"


def test_an_interrupt_before_any_checkpoint_says_so(tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with (
        pytest.warns(RowWarning, match="no checkpoint was due yet"),
        pytest.raises(KeyboardInterrupt),
    ):
        w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / "out",
            args=sft_args(),
            holdout=0,
            progress=stop,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("unshared", [False, True])
def test_a_training_that_failed_after_its_last_step_takes_no_further_one(
    unshared: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a full disk; the rate is constant, so that a step too many would be seen."""

    def train(name: str, progress: Any = None) -> Any:
        trained = w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / name,
            args=sft_args(max_steps=3, logging_steps=1, lr_scheduler_type="constant"),
            holdout=0,
            unshared=unshared,
            progress=progress,
        )
        assert [entry["step"] for entry in trained.losses] == [1, 2, 3]
        assert trained.metrics["num_steps"] == 3
        return AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict()

    def fill(step: int, *_: Any) -> None:
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / f"{step}").touch()

    whole = train("whole")
    with pytest.raises(InvalidInput, match="holds files already"):
        train("cut", fill)
    shutil.rmtree(tmp_path / "cut")
    again = train("cut")
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    told = [message for message in caplog.messages if "callback" in message]
    assert told == []  # transformers warns of one that is there twice
