"""Configuration files: one YAML file a run, every key known, every value checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from w2stree.experiment.config.experiment import Config, config_of
from w2stree.experiment.config.reading import read_config, shipped_configs
from w2stree.experiment.methods import METHODS

__all__ = ["Config", "load_config", "shipped_configs"]

_EXPERIMENT = config_of(METHODS)


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """An experiment's configuration; see `read_config`."""
    return read_config(_EXPERIMENT, source, overrides)
