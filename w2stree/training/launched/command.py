"""The side that starts a launched training, waits for it, and has its weights.

model, examples ──> folder ──> accelerate launch … worker ──> folder ──> the same model, trained
                                 │ └ a process a GPU
                                 └ guarded: it ends with this process
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model, set_peft_model_state_dict

from w2stree import errors
from w2stree.environments.hosting.guarded import GuardedGroup
from w2stree.errors import InvalidInput, ModelFailure
from w2stree.shorten import visible
from w2stree.training.adapters import finished
from w2stree.training.launched.job import (
    PROGRESS,
    RESULT,
    START,
    WEIGHTS,
    Job,
    failed,
    write_examples,
)
from w2stree.training.launcher import Launch, rows_of_a_process
from w2stree.training.layers import adapters
from w2stree.training.models import save_model
from w2stree.training.optimisation import Optimisation
from w2stree.training.precision import training_precision
from w2stree.training.stage import Progress, TrainedWeights
from w2stree.training.trackers import SILENT, Reporting
from w2stree.training.trees.examples import Example

_WITHOUT = ("/usr/bin/env", "-u", "ACCELERATE_USE_FSDP")
"""What shares the model is said in arguments. transformers leaves `fsdp` in the environment, also
where it refuses it."""
_WORKER = "w2stree.training.launched.worker"
_MODULE = (sys.executable, "-P", "-m")  # nothing of the current directory is imported
_LOOK_S = 0.5  # for new steps
_POLITE_S = 10.0  # for a launcher to end its processes
_KILLED = re.compile(r"rank +: (\d+) .*\n +exitcode +: -\d+ .*\((SIG(?!TERM)\w+)\)")
"""In a launcher's last words. By SIGTERM it ends those that are left."""


def train_launched(
    launch: Launch,
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    optimisation: Optimisation,
    *,
    output_dir: str,
    seed: int,
    progress: Progress | None = None,
    reporting: Reporting = SILENT,
    **loss: Any,
) -> TrainedWeights:
    """As `trees.stage.train_sft`, or with `loss` as `train_dpo`, in the processes of a launcher.

    The model is written beside `output_dir`, leaves the GPU, and is given back trained, on the CPU.
    `metrics` has `num_processes` too. The weights are those of one process up to rounding where
    `micro_batch_size` is given; else a process holds its share of the batch at a time, and a tree's
    rows come together in smaller bundles.

    Raises what the processes raise; `InvalidInput` where they do not share a batch evenly or are
    more than the GPUs, and for an unshared training, `ModelFailure` with the signal or the last
    lines where one ends otherwise. Cost: the model written once, and read by each process.
    """
    if optimisation.unshared:
        raise InvalidInput(
            "launch: unshared training takes one process; leave launch or unshared out"
        )
    rows_of_a_process(optimisation.batch_size, optimisation.micro_batch_size, launch.num_processes)
    refuse_too_few_gpus(launch)
    adapters(model, optimisation.lora)  # raises for layers that the model does not have
    beside = Path(output_dir).absolute().parent
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".launched-", dir=beside) as name, _lifeline() as pipe:
        folder = Path(name)
        save_model(folder / START, model, tokenizer)
        model.to("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        write_examples(folder, examples)
        Job(
            method="dpo" if loss else "sft",
            optimisation=optimisation,
            loss=loss,
            seed=seed,
            num_threads=max(1, torch.get_num_threads() // launch.num_processes),
            reporting=reporting,
            lifeline=pipe,
        ).write(folder)
        _run(launch, folder, progress)
        result = json.loads((folder / RESULT).read_bytes())
        weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    for category, message in result["warnings"]:
        warnings.warn(message, getattr(errors, category), stacklevel=3)
    metrics = {**result["metrics"], "num_processes": float(launch.num_processes)}
    return TrainedWeights(_with(model, weights, optimisation), metrics, result["steps"])


def refuse_too_few_gpus(launch: Launch) -> None:
    """Raises `InvalidInput` where a process would have no GPU, on a machine that has one."""
    if 0 < (num_gpus := torch.cuda.device_count()) < launch.num_processes:
        raise InvalidInput(
            f"num_processes is {launch.num_processes}, a process a GPU, and {num_gpus} can be seen "
            "(CUDA_VISIBLE_DEVICES)"
        )


@contextmanager
def _lifeline() -> Iterator[str]:
    """A named pipe that this process alone holds open: whoever reads it sees its end."""
    with tempfile.TemporaryDirectory(prefix="w2stree-") as folder:
        path = str(Path(folder) / "lifeline")
        os.mkfifo(path)
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            yield path
        finally:
            os.close(descriptor)


def command(launch: Launch, folder: Path) -> list[str]:
    """What is started. The number of machines is said, or the user's default file would say it."""
    return [
        *_WITHOUT,
        *_MODULE,
        "accelerate.commands.launch",
        *("--num_machines", "1", "--machine_rank", "0", "--main_process_port", "0"),
        *launch.arguments,
        *("--num_processes", str(launch.num_processes)),
        *("--no_python", *_MODULE, _WORKER, str(folder)),
    ]


def _run(launch: Launch, folder: Path, progress: Progress | None) -> None:
    """Raises as `train_launched` where the command does not end well."""
    told = 0
    group = GuardedGroup(command(launch, folder))
    try:
        while not group.has_ended(_LOOK_S):
            told = _relay(folder, told, progress)
        words = group.wait(0.0)
    except BaseException:
        group.terminate()  # a launcher ends its processes, which are not of its group
        group.has_ended(_POLITE_S)
        raise
    finally:
        group.kill()
    _relay(folder, told, progress)
    if words.status == 0 and (folder / RESULT).is_file():
        return
    _raise_first(folder, words.output)
    ended = words.cause or f"exit status {words.status}"
    last = " ".join(words.output.split())
    raise ModelFailure(
        f"the launched training ({' '.join(launch.arguments)}, {launch.num_processes} processes) "
        f"ended before its result ({ended}); it said last: {visible(last) or 'nothing'}"
    )


def _relay(folder: Path, told: int, progress: Progress | None) -> int:
    """Tell of the steps after those told; how many there are now."""
    if progress is None or not (folder / PROGRESS).is_file():
        return told
    *steps, _ = (folder / PROGRESS).read_text(encoding="utf-8").split("\n")  # the last: in writing
    for step in steps[told:]:
        progress(*json.loads(step))
    return len(steps)


def _raise_first(folder: Path, output: str) -> None:
    """What ended the first process that failed; others fail of its silence."""
    records = [json.loads(file.read_bytes()) for file in folder.glob(failed("*"))]
    first = min(records, key=lambda record: record["at"], default=None)
    if first is not None and first["error"]:
        raise getattr(errors, first["error"])(first["message"])
    if killed := _KILLED.search(output):  # it had no time to tell
        rank, signal = killed.groups()
        why = "; the system kills what memory does not hold: lower micro_batch_size"
        raise ModelFailure(
            f"process {rank} of the launched training was ended by {signal}"
            f"{why if signal == 'SIGKILL' else ''}"
        )
    if first is not None:
        raise ModelFailure(f"a launched process failed: {visible(first['message'])}")


def _with(model: Any, weights: dict[str, torch.Tensor], optimisation: Optimisation) -> Any:
    """The model that was handed over, with what was learned in it."""
    lora = optimisation.lora
    model.to(training_precision(model, lora=lora is not None).weights)
    if lora is None:
        model.load_state_dict(weights)
        return model
    adapted = get_peft_model(model, adapters(model, replace(lora, dropout=0.0)))  # as on trees
    set_peft_model_state_dict(adapted, weights)
    return finished(adapted, lora)
