"""What a diagnosis looks at: a run directory's stages, an exploration's journal, or a log.

RUN_DIR/explore/trajectories.jsonl        played, and so are the test episodes (evaluate_*)
RUN_DIR/tree_dpo/manifest.json            the figures of a training; losses.jsonl: step by step
RUN_DIR/tree/best_paths.jsonl             what mcts_sft learns from
RUN_DIR/tasks/tasks.json                  which test tasks are of which panel
RUN_DIR/episodes.journal                  of `w2stree explore`: played, and nothing more
"""

from __future__ import annotations

import functools
import shlex
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.errors import IdenticalTrajectories, InvalidInput
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.logged_steps import logged_steps
from w2stree.experiment.manifest import read_manifest
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_json import read_json
from w2stree.experiment.seeds import derived_seed
from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.formats.reading import read_trajectories as read_runs
from w2stree.shorten import visible
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Trajectory

EXPLORED = "explore"
_TESTED = "evaluate_"
_OTHER_GAMES = "random_play"  # what it played is no task of the run's


@dataclass(frozen=True)
class Given:
    """`played` is by stage; figures and steps of trainings are by stage too. What a stage of an
    earlier version does not say is absent."""

    path: Path
    played: Mapping[str, Sequence[Trajectory]]
    metrics: Mapping[str, Mapping[str, Any]]
    steps: Mapping[str, Sequence[Mapping[str, float]]]
    best_paths: Sequence[Trajectory] = ()
    """What the search found, one of each explored task."""
    panels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The test tasks of each, in the order of the report."""
    config: Any = None

    def setting(self, *keys: str) -> float | None:
        """A number of the configuration; None where it is none."""
        value = self.config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else None

    def seed(self, what: str) -> int:
        """That the run draws something by; of a run that names no seed as if it were 0."""
        own = self.setting("seeds", what)
        return derived_seed(int(own if own is not None else self.setting("seed") or 0), what)

    @property
    def shown(self) -> str:
        return shlex.quote(visible(str(self.path)))

    @property
    def shown_parent(self) -> str:
        return shlex.quote(visible(str(self.path.parent)))

    def shown_stage(self, stage: str) -> str:
        """The stage's folder; of a log and of a journal the path that was given."""
        inside = self.path / stage
        return shlex.quote(visible(str(inside if inside.is_dir() else self.path)))

    @property
    def tested(self) -> dict[str, Sequence[Trajectory]]:
        """By method."""
        return {
            stage.removeprefix(_TESTED): runs
            for stage, runs in self.played.items()
            if stage.startswith(_TESTED)
        }

    @property
    def explored(self) -> Sequence[Trajectory]:
        """Without error rows."""
        return [run for run in self.played.get(EXPLORED, ()) if run.status != "error"]

    @functools.cached_property
    def forest(self) -> Forest | None:
        """Of what was explored; None of nothing. Observations merge where they are equal."""
        runs = self.explored
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdenticalTrajectories)  # a signature says it
            return build_forest(runs, openings="any") if runs else None


def given_run(path: Path, stages: Collection[str] | None = None) -> Given:
    """What is at a path: a run directory (of it these `stages`, or all that have finished), an
    exploration's, or a file or folder of runs of any known format.

    Raises `InvalidInput` where there are no runs and for a record of tasks that is none,
    `RunDirectoryError` for a manifest that is torn
    and as `logged_steps`, and what `read_trajectories` raises.
    """
    if not path.exists():
        raise FileNotFoundError(f"{visible(str(path))}: no such run directory, folder or file")
    folders = _stages(path) if path.is_dir() else []
    if not folders:
        runs = read_runs(path)
        if not runs:
            raise InvalidInput(f"{visible(str(path))}: there are no runs in it")
        return Given(path, {EXPLORED: runs}, {}, {})
    played, metrics, steps = {}, {}, {}
    for folder in folders:
        name = folder.name
        if stages is not None and name not in stages:
            continue
        manifest = read_manifest(folder, name)
        figures = (manifest or {}).get("metrics")
        metrics[name] = figures if isinstance(figures, dict) else {}
        if name != _OTHER_GAMES and (file := folder / "trajectories.jsonl").is_file():
            played[name] = read_trajectories(file)
        if found := logged_steps(folder):
            steps[name] = found
    best_paths, config = path / "tree" / "best_paths.jsonl", path / "config.json"
    tasks = path / "tasks" / "tasks.json"
    return Given(
        path,
        played,
        metrics,
        steps,
        best_paths=read_trajectories(best_paths) if best_paths.is_file() else (),
        panels=_panels(tasks) if tasks.is_file() else {},
        config=read_json(config) if config.is_file() else None,
    )


def _panels(file: Path) -> dict[str, Sequence[str]]:
    parts = Parts.from_record(read_json(file), visible(str(file)))
    return {name: part.task_ids for name, part in parts.test.items()}


def _stages(path: Path) -> list[Path]:
    """Folders of finished stages; one in the making has a hidden name. A stage's name is a word:
    of a stranger's directory nothing else gets into a command that is to be typed."""
    found = (file.parent for file in path.glob(f"[!.]*/{MANIFEST}"))
    return sorted(folder for folder in found if folder.name.isidentifier())
