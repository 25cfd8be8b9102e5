"""Launchers of several processes, which training here has no use for."""

from __future__ import annotations

import os

from w2stree.errors import InvalidInput


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
