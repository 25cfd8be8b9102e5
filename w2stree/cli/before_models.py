"""Settings that torch, transformers and datasets read when they are imported."""

from __future__ import annotations

import os
import warnings

_SETTINGS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads halve the speed when all cores are busy
    "HF_HUB_OFFLINE": "1",  # nothing here may reach for a model hub
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def before_models() -> None:
    """Set what the user has not set."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
