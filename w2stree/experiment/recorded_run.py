"""A recorded run read back: which environment it was played in, and what was played.

A run directory may come from anybody: all in it is data. An environment's options may name code
(`Options.code`); it is run for those alone who trust the directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.environments.options import Options
from w2stree.errors import InvalidInput
from w2stree.experiment.changes import changes
from w2stree.experiment.config.environment import EnvironmentSection
from w2stree.experiment.config.layouts import todays_layout
from w2stree.experiment.config.reading import check
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.section import Section
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.trajectory import Trajectory

# Other games than the run's own environment, with settings of their own.
_OTHER_ENVIRONMENTS = ("random_play",)


class _Recorded(Section):
    """What is needed of a run's configuration, whichever command made it."""

    environment: EnvironmentSection


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run's environment and what was played in it; `skipped` names files that were not read."""

    environment: Options
    trajectories: list[Trajectory]
    skipped: list[Path]


def read_run(path: Path, *, trust: bool = False) -> RecordedRun:
    """Trajectories of a run directory, of one stage of it, or of one of its files.

    The environment is the `environment` of the stages' manifests, or without one of the
    `config.json` there or up to two folders above. Raises `InvalidInput` where there is none,
    where stages were played in different ones, or where it names code and `trust` is false, and
    `FileNotFoundError` without trajectories. Nothing is run here either way.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such run directory or file")
    config = _config_file(path)
    files = _trajectory_files(path)
    skipped = [file for file in files if file.parent.name in _OTHER_ENVIRONMENTS]
    played = [file for file in files if file not in skipped]
    sources = list(dict.fromkeys(_made_by(file) or config for file in played)) or [config]
    environment = _environment(sources[0])
    for source in sources[1:]:
        _refuse_another(sources[0], source)
    refuse_code(environment, sources[0], trust=trust)
    read = [read_trajectories(file) for file in played]
    if not read:
        raise FileNotFoundError(f"{path}: no trajectories to replay")
    return RecordedRun(environment, [t for trajectories in read for t in trajectories], skipped)


def configuration_of(path: Path) -> tuple[Path, Any]:
    """The file that says where a run directory, a stage of it or a file in it was played, and the
    configuration in it, as it was written. Raises `InvalidInput` where there is none."""
    folder = path if path.is_dir() else path.parent
    file = _made_by(folder / MANIFEST) or _config_file(path)
    return file, _configuration(file)


def refuse_code(environment: Options, source: Path, *, trust: bool) -> None:
    """Raises `InvalidInput` where the environment names code and `trust` is false."""
    if environment.code and not trust:
        raise InvalidInput(
            f"{source} names code, which replaying would run as you: {environment.code}. "
            "Nothing was run. If you trust whoever made this directory, give --trust (trust=True)"
        )


def _made_by(file: Path) -> Path | None:
    """The manifest of the stage that a file is of, with the configuration of that time: a run
    that takes another one keeps results until there are new ones."""
    manifest = file.parent / MANIFEST
    if not manifest.is_file():
        return None
    record = parse_json(manifest.read_bytes(), str(manifest))
    return manifest if isinstance(record, dict) and "config" in record else None


def _refuse_another(one: Path, other: Path) -> None:
    first, second = _environment(one), _environment(other)
    records = [_Recorded(environment=e).model_dump(mode="json") for e in (first, second)]
    ignored = [f"environment.{key}" for key in first.may_change]
    if differing := changes(*records, but=ignored):
        raise InvalidInput(
            f"{one} and {other} tell of different environments ({differing[0]}): a run that took "
            "another configuration and is not finished; give one stage's folder"
        )


def _config_file(path: Path) -> Path:
    for folder in (path, *path.resolve().parents[:2]):
        file = folder / "config.json"
        if file.is_file():
            return file
    raise InvalidInput(
        f"{path}: no config.json there or in the two folders above; give a directory that "
        "`w2stree run` or `w2stree explore` made, or a file in it"
    )


def _environment(file: Path) -> Options:
    record = todays_layout(_configuration(file))
    if not isinstance(record, dict) or "environment" not in record:
        raise InvalidInput(f"{file}: has no `environment` to play in")
    known = {"environment": record["environment"]}
    return check(_Recorded, known, str(file)).environment


def _configuration(file: Path) -> Any:
    record = parse_json(file.read_bytes(), str(file))
    return record["config"] if file.name == MANIFEST else record


def _trajectory_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    patterns = ("*.journal", "trajectories.jsonl", "*/trajectories.jsonl")
    found = (file for pattern in patterns for file in sorted(path.glob(pattern)))
    # A stage in the making has a hidden folder; its file may be torn.
    return [file for file in found if not file.parent.name.startswith(".")]
