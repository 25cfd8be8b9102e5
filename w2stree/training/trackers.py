"""Where training curves go beside our own files: trackers, by the names of transformers'
`report_to`. No torch here, so that configurations can hold it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency

TRACKERS = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""By name the packages, any of which will do."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """Which trackers are told of a training, by what name, and the folder that TensorBoard's
    files go to: `directory`/`run_name`, or, where the environment has it,
    `TENSORBOARD_LOGGING_DIR`/`run_name`."""

    report_to: tuple[str, ...] = ()
    run_name: str = ""
    directory: str = ""


SILENT = Reporting()


def trackers(given: Any) -> tuple[str, ...]:
    """The trackers that `report_to` names, each once: one name or several, `none`, or `all` that
    are installed. Raises `InvalidInput` for a name that is none of ours."""
    names = list(given) if isinstance(given, list | tuple) else [given]
    if names in (["none"], [None]):
        return ()
    if names == ["all"]:
        return tuple(name for name in TRACKERS if _is_installed(name))
    for name in names:
        if not isinstance(name, str) or name not in TRACKERS:
            raise InvalidInput(f"{name!r} is no tracker; give {', '.join(TRACKERS)}, none or all")
    return tuple(dict.fromkeys(names))


def refuse_absent_trackers(report_to: Iterable[str]) -> None:
    """Raises `MissingDependency` for a tracker whose package is not installed."""
    for name in report_to:
        if name in TRACKERS and not _is_installed(name):
            package = TRACKERS[name][0]
            raise MissingDependency(f"report_to={name!r} needs {package}: pip install {package}")


def now() -> str:
    """For a name: 2026-11-27T02-33-20.417."""
    return datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]


def _is_installed(name: str) -> bool:
    return any(find_spec(package) for package in TRACKERS[name])
