"""Where models are trained and act: one process, and in it one GPU if there is one."""

from __future__ import annotations

import os

from w2stree.errors import InvalidInput


def best_device() -> str:
    """The device that models act on: a GPU if there is one, the first where there are several."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def refuse_several_processes() -> None:
    """Raises `InvalidInput` under a launcher that started several processes.

    Each would train on every row, play every episode and wait for the others' run directory.
    """
    num_processes = os.environ.get("WORLD_SIZE", "1")
    if num_processes != "1":
        raise InvalidInput(
            f"a launcher (accelerate launch, torchrun) started {num_processes} processes "
            "(WORLD_SIZE); w2stree trains in one process on one GPU: start it without a launcher, "
            "and choose the GPU by CUDA_VISIBLE_DEVICES"
        )
