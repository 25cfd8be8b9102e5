"""TensorBoard's files, read back by its own reader."""

from __future__ import annotations

from pathlib import Path

import pytest


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    """(step, value) of a curve, over all files of a folder in their order."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    told = accumulators.EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in told.Scalars(name)]
