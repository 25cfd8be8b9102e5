"""Configuration files: one YAML file a run, every key known, every value checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from w2stree.experiment.config.experiment import Config, config_of
from w2stree.experiment.config.reading import check, read_config, shipped_configs
from w2stree.experiment.methods import METHODS

__all__ = ["Config", "config_from_record", "load_config", "shipped_configs"]

_EXPERIMENT = config_of(METHODS)


def load_config(
    source: str | Path,
    overrides: Sequence[str] = (),
    *,
    values: Mapping[str, Any] = MappingProxyType({}),
) -> Config:
    """An experiment's configuration; see `read_config`."""
    return read_config(_EXPERIMENT, source, overrides, values=values)


def config_from_record(record: Any, where: str) -> Config:
    """The configuration that `model_dump(mode="json")` gave, read back."""
    return check(_EXPERIMENT, record, where)
