"""The curves of one training at its trackers: a run of their own each, open as long as it lasts.

transformers' callbacks leave some of that to the process: wandb's stays open when a training has
ended, and would take the next one's figures; an evaluation afterwards opens TensorBoard's and
trackio's again. TensorBoard's would write into the trainer's folder, which is a stage's own.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback

from w2stree.training.trackers import Reporting

_FAILED = 1


@contextmanager
def curves(trainer: Any, reporting: Reporting) -> Iterator[None]:
    """Within, what the trainer logs goes to its trackers by this name; then their files are closed.

    A run of wandb's that somebody else has opened in this process takes the figures, and stays
    open.
    """
    told = [c for c in trainer.callback_handler.callbacks if isinstance(c, _KNOWN)]
    others = [c for c in told if isinstance(c, WandbCallback) and c._wandb.run is not None]
    for callback in told:
        if isinstance(callback, TensorBoardCallback):
            base = os.environ.get("TENSORBOARD_LOGGING_DIR") or reporting.directory
            callback.logging_dir = str(Path(base).expanduser() / reporting.run_name)
    status = _FAILED
    try:
        is_wandb_told = any(isinstance(c, WandbCallback) for c in told)
        with _files_of_wandb_in(reporting.directory if is_wandb_told else ""):
            yield
        status = 0
    finally:
        for callback in told:
            if callback not in others:
                _close_or_say(callback, status)


_KNOWN = (TensorBoardCallback, TrackioCallback, WandbCallback)


def _close_or_say(callback: Any, status: int) -> None:
    """A tracker that cannot be reached at the end costs no training."""
    try:
        _close(callback, status)
    except Exception as error:
        name = type(callback).__name__.removesuffix("Callback")
        warnings.warn(
            f"report_to: {name} could not end its run ({type(error).__name__}: {error}); its curve "
            "may lack its end, losses.jsonl has it whole",
            RuntimeWarning,
            stacklevel=4,
        )


def _close(callback: Any, status: int) -> None:
    if isinstance(callback, TensorBoardCallback):
        if callback.tb_writer is not None:
            callback.tb_writer.close()
            callback.tb_writer = None
    elif isinstance(callback, TrackioCallback):
        if callback._initialized:
            callback._trackio.finish()
            callback._initialized = False
    elif callback._wandb.run is not None:
        callback._wandb.finish(exit_code=status)
        callback._initialized = False


@contextmanager
def _files_of_wandb_in(directory: str) -> Iterator[None]:
    """wandb writes below the current directory where WANDB_DIR names no other."""
    if not directory or "WANDB_DIR" in os.environ:
        yield
        return
    Path(directory).mkdir(parents=True, exist_ok=True)
    os.environ["WANDB_DIR"] = directory
    try:
        yield
    finally:
        del os.environ["WANDB_DIR"]
