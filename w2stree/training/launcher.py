"""Launchers of several processes, which runs and unshared training have no use for."""

from __future__ import annotations

import os

from w2stree.errors import InvalidInput


def refuse_several_processes() -> None:
    """Raises `InvalidInput` under a launcher that started several processes.

    Of a run each would train on every row, play every episode and wait for the others' directory;
    of an unshared step each would take its own tokens for all. Training on trees takes several.
    """
    num_processes = os.environ.get("WORLD_SIZE", "1")
    if num_processes != "1":
        raise InvalidInput(
            f"a launcher (accelerate launch, torchrun) started {num_processes} processes "
            "(WORLD_SIZE); runs and unshared training take one process and one GPU: start it "
            "without a launcher, and choose the GPU by CUDA_VISIBLE_DEVICES (w2stree train takes "
            "several, on trees)"
        )
