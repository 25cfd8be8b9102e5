"""What a launcher starts: `accelerate launch … -m w2stree.training.launched.worker FOLDER`.

Each process opens the model and all examples, and trains its share of them (`TreeTrainer`). The
first one writes what the training leaves (`job`). None outlives the process that asked for it: it
holds a named pipe open, whose end each of these waits for.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict

from w2stree import errors
from w2stree.errors import InvalidInput
from w2stree.training.launched.job import (
    PROGRESS,
    RESULT,
    START,
    WEIGHTS,
    Job,
    failed,
    read_examples,
)
from w2stree.training.launcher import started_processes
from w2stree.training.models import load_model
from w2stree.training.trees.stage import train_dpo, train_sft
from w2stree.training.trees.trainer import TreeTrainer
from w2stree.trajectories.replacing import replacing

_FAILED = 1


def main(folder: Path) -> int:
    """The exit status; what went wrong is in `failed-RANK.json`."""
    job = Job.read(folder)
    threading.Thread(target=_end_with, args=(job.lifeline,), daemon=True).start()
    try:
        _train(folder, job)
    except Exception as error:
        traceback.print_exc()
        _tell(folder, error)
        return _FAILED
    return 0


def _train(folder: Path, job: Job) -> None:
    rank = _place()
    torch.set_num_threads(job.num_threads)
    model, tokenizer = load_model(folder / START)
    told: list[tuple[str, str]] = []
    with warnings.catch_warnings():
        warnings.showwarning = _keeping(told)
        train: Any = train_sft if job.method == "sft" else train_dpo
        trained = train(
            model,
            tokenizer,
            read_examples(folder),
            job.optimisation,
            **job.loss,
            output_dir=str(folder / "trainer"),
            seed=job.seed,
            progress=_Progress(folder / PROGRESS) if rank == 0 else None,
            finish=gathered,
            reporting=job.reporting,
        )
    if rank == 0:
        torch.save(trained.model, folder / WEIGHTS)
        result = {"metrics": trained.metrics, "steps": trained.steps, "warnings": told}
        with replacing(folder / RESULT) as file:
            json.dump(result, file)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # no process leaves while another still talks to it
        torch.distributed.destroy_process_group()


def _place() -> int:
    """This process's number among all, its GPU made the one that models come to."""
    if started_processes() == 1:
        raise InvalidInput(
            "launch: the launcher started one process: its arguments say how several are started "
            "(--multi_gpu, --use_fsdp, …)"
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return int(os.environ["RANK"])


def gathered(trainer: TreeTrainer) -> dict[str, torch.Tensor] | None:
    """What has been trained, whole on the CPU, whoever held the parts; all processes must ask."""
    weights = trainer.accelerator.get_state_dict(trainer.model)
    if trainer.args.process_index:
        return None
    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PeftModel):
        weights = get_peft_model_state_dict(model, weights, save_embedding_layers=False)
    return {name: weight.detach().cpu() for name, weight in weights.items()}


class _Progress:
    """Appends a line a step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, step: int, num_steps: int, figures: dict[str, float]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps([step, num_steps, figures])}\n")


def _keeping(told: list[tuple[str, str]]) -> Any:
    """Shows warnings as ever, but for the package's own, which are told by who asked for this."""
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if category.__name__ in errors.__all__:
            told.append((category.__name__, str(message)))
        else:
            shown(message, category, *where, **more)

    return show


def _tell(folder: Path, error: Exception) -> None:
    """An error of the package by its name, of others the type in the message."""
    name, message = type(error).__name__, str(error)
    if name not in errors.__all__:
        name, message = "", f"{name}: {message}"
    record = {"at": time.time(), "error": name, "message": message}
    with replacing(folder / failed(os.environ.get("RANK", "0"))) as file:
        json.dump(record, file)


def _end_with(lifeline: str) -> None:
    """Launchers start processes in sessions of their own, where no signal to a group comes."""
    try:
        descriptor = os.open(lifeline, os.O_RDONLY | os.O_NONBLOCK)
        hangs_up = select.poll()
        hangs_up.register(descriptor, select.POLLIN)
        while True:
            try:
                if not os.read(descriptor, 64):
                    break
            except BlockingIOError:
                hangs_up.poll()
    except OSError:
        pass  # it is gone, and who made it
    os._exit(_FAILED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
