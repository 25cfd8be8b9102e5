"""A stage in the processes of a launcher: one process's weights, failures with their reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.event_files import scalars
from support.tiny_models import tiny_model, tiny_tokenizer
from support.tree_training import pairs, sft_examples

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.training.launched.command import train_launched
from w2stree.training.launched.job import read_examples, write_examples
from w2stree.training.launcher import Launch
from w2stree.training.optimisation import Lora, Optimisation
from w2stree.training.stage import Progress
from w2stree.training.trackers import Reporting
from w2stree.training.trees.stage import train_dpo, train_sft

pytestmark = pytest.mark.train

OPTIMISATION = Optimisation(num_epochs=2, learning_rate=1e-2, batch_size=4, micro_batch_size=2)
TWO = Launch(2)
PREFERENCES = {"beta": 0.1, "sft_weight": 0.5, "reference_is_start": False}


def test_examples_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = [*sft_examples(2), *pairs(2)]
    made.append(replace(made[-1], target=(0.9, 0.1), weight=0.5))
    write_examples(tmp_path, made)
    read = read_examples(tmp_path)
    for one, other in zip(made, read, strict=True):
        assert (one.target, one.reference, one.weight) == (
            other.target,
            other.reference,
            other.weight,
        )
        for a, b in zip(one.sequences, other.sequences, strict=True):
            assert a.tree == b.tree
            assert a.ids.tobytes() == b.ids.tobytes()
            assert a.weight.tobytes() == b.weight.tobytes()


@pytest.mark.parametrize("method", [pytest.param("sft", marks=pytest.mark.slow), "dpo"])
def test_two_processes_give_the_weights_of_one(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SFT of all weights, DPO of adapters; 1e-4 of the greatest change of a weight. Whatever lies
    where they are started, none imports it; whatever an earlier call left in the environment, none
    shards for it."""
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    (tmp_path / "datasets.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.chdir(tmp_path)
    optimisation = OPTIMISATION
    loss: dict[str, Any] = {}
    examples = sft_examples()
    if method == "dpo":
        optimisation = replace(OPTIMISATION, lora=Lora(r=4, alpha=8))
        loss, examples = PREFERENCES, pairs()
    told: list[int] = []
    reported = ("tensorboard",) if find_spec("tensorboard") else ()
    given = {"output_dir": str(tmp_path / "out"), "seed": 3}
    two = train_launched(
        TWO,
        *_start(),
        examples,
        optimisation,
        progress=lambda step, total, figures: told.append(step),
        reporting=Reporting(reported, "two", str(tmp_path / "curves")),
        **given,
        **loss,
    )
    train: Any = train_dpo if method == "dpo" else train_sft
    one = train(*_start(), examples, optimisation, **given, **loss)
    begun = _start()[0].state_dict()
    weights = two.model.state_dict()
    for name, weight in one.model.state_dict().items():
        change = (weight - begun[name]).abs().max()
        torch.testing.assert_close(
            weights[name], weight, atol=max(1e-7, 1e-4 * float(change)), rtol=0
        )
    assert any(not torch.equal(w, begun[name]) for name, w in one.model.state_dict().items())
    assert told == list(range(1, int(one.metrics["num_steps"]) + 1))
    assert two.metrics["num_processes"] == 2
    assert two.metrics["loss_after"] == pytest.approx(one.metrics["loss_after"], abs=1e-4)
    assert two.metrics["shared_ratio"] == pytest.approx(one.metrics["shared_ratio"])
    losses = [[step["loss"] for step in trained.steps] for trained in (one, two)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert not list(tmp_path.glob(".*"))
    if reported:  # by one process of the two
        curve = [loss for _, loss in scalars(tmp_path / "curves" / "two", "train/loss")]
        assert curve == pytest.approx(losses[1])


@pytest.mark.slow
def test_an_error_of_a_process_is_raised_here(tmp_path: Path) -> None:
    """By its own type and words: the launcher alone would say an exit status."""
    too_fast = replace(OPTIMISATION, learning_rate=1e30)
    with pytest.raises(ModelFailure, match=r"lower the learning_rate"):
        _launch(tmp_path, optimisation=too_fast)
    assert not list(tmp_path.glob(".*"))


def test_a_launcher_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(ModelFailure, match=r"exit status \d.*unrecognized arguments: --no_such"):
        _launch(tmp_path, launch=Launch(2, ("--multi_gpu", "--no_such")))


@pytest.mark.slow
def test_fsdp_where_accelerate_would_leave_it_out(tmp_path: Path) -> None:
    """On a CPU it trains without, and says nothing."""
    sharded = Launch(2, ("--use_fsdp", "--fsdp_version", "2"))
    with pytest.raises(InvalidInput, match=r"FSDP is asked for, but accelerate shards on"):
        _launch(tmp_path, launch=sharded)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((1,), "num_processes is 1; one process needs no launcher"),
        ((2, ("--num-processes", "4")), "arguments has --num-processes: a run says"),
        ((2, ("--num_machines=2",)), "arguments has --num_machines=2: a run says"),
        ((2, ("-m",)), "arguments has -m: a run says"),
        ((2, ("--use_deepspeed",)), "counts backward passes"),
        ((2, ("--multi_gpu --gpu_ids all",)), "give each argument as an entry of its own"),
        ((2, ("multi_gpu",)), "begins with multi_gpu, which the launcher would take for the"),
    ],
)
def test_what_a_launch_cannot_be(given: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        Launch(*given)


def test_values_with_spaces_and_equals_signs() -> None:
    arguments = ("--config_file=my files/a.yaml", "--config_file", "my files/a.yaml")
    assert Launch(2, arguments).arguments == arguments


def test_batches_that_processes_do_not_share_evenly(tmp_path: Path) -> None:
    """Before anything is started."""
    with pytest.raises(InvalidInput, match=r"multiple of micro_batch_size \(2\) times the 4"):
        _launch(tmp_path, launch=Launch(4))
    unshared = replace(OPTIMISATION, unshared=True)
    with pytest.raises(InvalidInput, match="unshared training takes one process"):
        _launch(tmp_path, optimisation=unshared)


@pytest.mark.slow
def test_a_process_that_is_killed_is_the_reason(tmp_path: Path) -> None:
    """Not what the others say of its silence."""

    def kill(step: int, total: int, figures: dict[str, float]) -> None:
        if step == 2:
            os.kill(max(_processes(tmp_path)), signal.SIGKILL)

    with pytest.raises(ModelFailure, match=r"process [01] .*was ended by SIGKILL; the system"):
        _launch(tmp_path, optimisation=replace(OPTIMISATION, num_epochs=1e5), progress=kill)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_processes_end_with_the_one_that_asked_for_them(tmp_path: Path) -> None:
    """Killed without a word to anybody, once they train: none is left, in whatever session."""
    driver = subprocess.Popen(
        [sys.executable, __file__, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    pids = [int(pid) for pid in driver.stdout.readline().split()]
    driver.kill()
    driver.wait()
    driver.stdout.close()
    assert len(pids) == 3  # the launcher, and two that train
    due = time.monotonic() + 120
    while any(_is_alive(pid) for pid in pids):
        assert time.monotonic() < due, "a process outlives its driver"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.is_file() or ") Z " not in stat.read_text()


def _launch(
    folder: Path,
    *,
    launch: Launch = TWO,
    optimisation: Optimisation = OPTIMISATION,
    progress: Progress | None = None,
) -> None:
    given: dict[str, Any] = {"output_dir": str(folder / "out"), "seed": 3, "progress": progress}
    train_launched(launch, *_start(), sft_examples(), optimisation, **given)


def _start() -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer()
    return tiny_model(tokenizer), tokenizer


def _drive(folder: Path) -> None:
    """Trains for hours; once it does, says which processes train."""

    def say(step: int, total: int, figures: dict[str, float]) -> None:
        if step == 1:
            print(*_processes(folder), flush=True)

    _launch(folder, optimisation=replace(OPTIMISATION, num_epochs=1e5), progress=say)


def _processes(folder: Path) -> list[int]:
    """The launcher, and those it started."""
    pattern = f"launched.worker {folder}"
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=True)
    return [int(pid) for pid in found.stdout.split()]


if __name__ == "__main__":
    _drive(Path(sys.argv[1]))
