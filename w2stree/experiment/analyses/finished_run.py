"""A run directory as analyses find it: finished stages, and the configuration that they are of.

    runs/quickstart/
      config.json                            its threshold, its max_length
      evaluate_tree_dpo/manifest.json        the method was tested
      analyses/bias.json  bias.txt           kept here unless told

Whatever is named and is not there is refused with what is there, and what may have been meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_json import read_json
from w2stree.shorten import visible
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Trajectory

_CONFIG = "config.json"
_TASKS = "tasks.json"
_EVALUATED = "evaluate_"
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run directory, whose stages are asked for by name; another one may still be in the
    making."""

    path: Path
    success_threshold: float
    max_length: int

    @property
    def stages(self) -> list[str]:
        """Those that have finished."""
        return sorted(file.parent.name for file in self.path.glob(f"[!.]*/{MANIFEST}"))

    @property
    def methods(self) -> list[str]:
        """Those that were tested."""
        return [s.removeprefix(_EVALUATED) for s in self.stages if s.startswith(_EVALUATED)]

    def test_episodes(self, method: str) -> Sequence[Trajectory]:
        """What a method played; `InvalidInput` for a method that was not tested here."""
        if method not in self.methods:
            raise InvalidInput(
                f"{_shown(self.path)}: {visible(method)} has no test episodes; "
                f"{meant(method, self.methods)}there are those of "
                f"{_listed(self.methods) or 'no method'}"
            )
        return self.played(f"{_EVALUATED}{method}")

    def played(self, stage: str) -> Sequence[Trajectory]:
        """What a stage played, episodes that ended in an error too."""
        file = self.finished(stage, "stage") / "trajectories.jsonl"
        if not file.is_file():
            raise RunDirectoryError(
                f"{_shown(file)}: is missing; name a stage that plays, or put the file back from a "
                f"copy, or redo the stage with --force {visible(stage)}"
            )
        return read_trajectories(file)

    def model(self, stage: str) -> Path:
        """The folder of the model that a stage trained; `RunDirectoryError` where it has none."""
        folder = self.finished(stage, "model") / "model"
        if not folder.is_dir():
            raise RunDirectoryError(
                f"{_shown(folder)}: is missing; name a stage that trains a model, or put the "
                f"folder back from a copy, or redo the stage with --force {visible(stage)}"
            )
        return folder

    def parts(self) -> Parts:
        """Which tasks were demonstrated, explored and tested."""
        file = self.finished("tasks", "stage") / _TASKS
        return Parts.from_record(read_json(file), str(file))

    def finished(self, stage: str, what: str) -> Path:
        """The folder of a stage that was named as such a `what`; `RunDirectoryError` where it has
        not finished."""
        folder = self.path / stage
        near = meant(stage, self.stages)
        read_json(
            folder / MANIFEST,
            remedy=f"{near}finish the stage {visible(stage)}, or name another {what}",
        )
        return folder


def finished_run(path: Path) -> FinishedRun:
    """The run in a directory. Raises `RunDirectoryError` where there is none, saying what the
    directory is instead, and where its configuration lacks what analyses read."""
    where = _shown(path)
    if not path.is_dir():
        near = meant(path.name, _folders(path.parent)) if path.parent.is_dir() else ""
        raise RunDirectoryError(f"{where}: no such directory; {near}give a run directory")
    if not (path / _CONFIG).is_file():
        raise RunDirectoryError(f"{where}: is no run directory: {_instead(path)}")
    file = path / _CONFIG
    record = read_json(file)
    return FinishedRun(
        path,
        success_threshold=float(_value(record, file, "evaluate", "success_threshold")),
        max_length=int(_value(record, file, "max_length")),
    )


def meant(given: str, known: Iterable[str]) -> str:
    """ "did you mean tree_dpo? ", or nothing."""
    nearest = difflib.get_close_matches(given, list(known), n=1)
    return f"did you mean {visible(nearest[0])}? " if nearest else ""


def _value(record: Any, file: Path, *keys: str) -> Any:
    value = record
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RunDirectoryError(
            f"{_shown(file)}: {'.'.join(keys)}: is no number: not a configuration of "
            "`w2stree run`; give a directory that it made, or `w2stree experiment`"
        )
    return value


def _instead(path: Path) -> str:
    """What a directory without a configuration is, and what to give."""
    if (path / MANIFEST).is_file() and (path.resolve().parent / _CONFIG).is_file():
        return f"it is a stage of one; give {_shown(path.resolve().parent)}"
    if runs := [name for name in _folders(path) if (path / name / _CONFIG).is_file()]:
        return f"it is a folder of them; give one: {_listed(runs)}"
    return (
        "it has no config.json; give a directory that `w2stree run` made, or one of those that "
        "`w2stree experiment` keeps in its --runs folder"
    )


def _folders(path: Path) -> list[str]:
    return sorted(inner.name for inner in path.iterdir() if inner.is_dir())


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    shown = [visible(name) for name in names[:_MOST_NAMED]]
    return ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _shown(path: Path) -> str:
    return visible(str(path))
