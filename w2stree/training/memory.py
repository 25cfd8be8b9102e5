"""What to do where a device's memory does not hold a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from w2stree.errors import InvalidInput


@contextmanager
def told_of_memory(rows_at_a_time: int, *, longest: int) -> Iterator[None]:
    """Raises `InvalidInput` with the settings that need less, where memory runs out within.

    `longest`: the tokens of the longest sequence in a batch.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_of_memory(error):
            raise
        raise InvalidInput(
            f"the memory does not hold {rows_at_a_time} rows of up to {longest} tokens: set "
            "optimisation's micro_batch_size to a smaller divisor of its batch_size (in TRL's "
            "configurations per_device_train_batch_size lower and gradient_accumulation_steps "
            "higher), lower max_length, or train adapters (lora) instead of all weights "
            f"({_first_line(error)})"
        ) from error


def _is_of_memory(error: RuntimeError) -> bool:
    # Off the GPU, torch tells of it in words alone.
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
