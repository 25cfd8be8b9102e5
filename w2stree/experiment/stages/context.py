"""What stages share: the configuration, where results lie, the environments, progress."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import ExplorationFailure, SamplesUnfinished
from w2stree.experiment.config import Config
from w2stree.experiment.config.reading import recorded_today
from w2stree.experiment.demonstrated import Demonstrated, read_demonstrated
from w2stree.experiment.explored import ExploredFile, read_explored
from w2stree.experiment.first_runs import first_runs
from w2stree.experiment.hashes import Hashes
from w2stree.experiment.manifest import read_manifest
from w2stree.experiment.parts import Parts, Played, choose_parts
from w2stree.experiment.run_directory import Accept, RunDirectory, StageSpec
from w2stree.experiment.run_json import read_json
from w2stree.experiment.seeds import derived_seed
from w2stree.experiment.stages.bar import Bar, Silent
from w2stree.experiment.stages.view import View
from w2stree.forest.build import open_forest
from w2stree.forest.forest import Forest
from w2stree.policies.protocol import Policy
from w2stree.rollouts.causes import Causes
from w2stree.rollouts.cut_returns import CutReturnCount
from w2stree.rollouts.executor import Cluster
from w2stree.rollouts.outcome import causes_in_words
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.shorten import visible
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Trajectory

FOREST_FILE = "weak.forest"
TASKS_FILE = "tasks.json"


def file_of(part: Played) -> str:
    """Of the stage `tasks`: the ids of the tasks that are played for that."""
    return f"{part}.json"


@dataclass(slots=True)
class Context:
    """One run: `run_dir/<stage>` holds a finished stage's files.

    `cluster`: the machines that play explorations and evaluations; None: this one does.
    `chooses_anew`: the tasks that an earlier session recorded do not count. `accept`: whether the
    run takes another configuration. `name` tells the run from others: of its folder, and of what
    it is a run of.
    """

    config: Config
    run_dir: Path
    bar: Bar = field(default_factory=Silent)
    cluster: Cluster | None = None
    chooses_anew: bool = False
    accept: Accept | None = None
    name: str = field(init=False)
    _reader: StageSpec | None = None
    _resources: ExitStack = field(default_factory=ExitStack)
    _pool: EnvironmentPool | None = None
    _forest: Forest | None = None
    _parts: Parts | None = None
    _demonstrated: Demonstrated | None = None
    _explored: ExploredFile | None = None
    _directory: RunDirectory | None = None
    _hashes: Hashes = field(default_factory=Hashes)
    _read_from: dict[str, str | None] | None = None

    def __post_init__(self) -> None:
        self.name = _name(self.config.name, self.run_dir)

    def directory(self) -> RunDirectory:
        """The run's directory, opened once; `RunDirectoryError` where another configuration made
        it or another process is in it."""
        if self._directory is None:
            config = self.config
            self._directory = RunDirectory(
                self.run_dir,
                config.model_dump(mode="json"),
                may_change=config.may_change(),
                accept=self.accept,
                read=recorded_today(config),
            )
        return self._directory

    @contextmanager
    def reading(self, spec: StageSpec) -> Iterator[None]:
        """Show, within the block, no more than the stage declares that it reads: of the
        configuration its keys, and of the run the stages it needs. Whatever else is asked for
        raises `LookupError`."""
        whole = self.config
        if spec.external:
            self._forget_what_has_changed()
        keys = (*spec.reads, *whole.may_change())
        if "tasks" in spec.needs:
            self.chooses_anew, self._parts = False, None  # the stage has recorded them
        try:
            self._reader = spec
            if "" not in keys:
                self.config = cast(Config, View(whole, keys, spec.name))
            yield
        finally:
            self.config, self._reader = whole, None

    def folder(self, stage: str) -> Path:
        """A finished stage's."""
        reader = self._reader
        if reader is not None and stage not in (*reader.needs, reader.name):
            raise LookupError(
                f"the stage {reader.name} reads {stage}, which its StageSpec.needs does not have"
            )
        return self.run_dir / stage

    def manifest(self, stage: str) -> dict[str, Any] | None:
        """A finished stage's; None where it has not finished. Without holding the run."""
        return read_manifest(self.run_dir / stage, stage)

    def seed(self, what: str, *, stage: str | None = None) -> int:
        """The seed of a stage, or of something else that `stage` draws."""
        return derived_seed(self.config.seed_of(stage or what), what)

    def trajectories(self, stage: str) -> list[Trajectory]:
        """What a stage that plays episodes recorded."""
        return list(read_trajectories(self.folder(stage) / "trajectories.jsonl"))

    def explored_runs(self) -> list[Trajectory]:
        """The explored runs that are learned from: all, or `num_trajectories` of each task."""
        return first_runs(self.trajectories("explore"), self.config.num_trajectories)

    def forest(self) -> Forest:
        """The explored forest that the stage `tree` saved, with its trajectories; opened once."""
        path = self.folder("tree") / FOREST_FILE
        if self._forest is None:
            self._forest = open_forest(path, trajectories=self.explored_runs())
        return self._forest

    def best_paths(self) -> list[Trajectory]:
        """The best paths that the stage `tree` found: trees in order, a tree's best one first."""
        return list(read_trajectories(self.folder("tree") / "best_paths.jsonl"))

    def best_path_figures(self) -> dict[str, dict[str, Any]]:
        """What the search says of each task's best path: total_return, end_node, value, ..."""
        found = read_json(self.folder("tree") / "best_paths.json")
        return {path["task_id"]: path for path in reversed(found)}

    def model_dir(self, stage: str) -> Path:
        """The model a training stage made."""
        return self.folder(stage) / "model"

    def task_ids(self, part: Played) -> list[str]:
        """The tasks that are played for that, as the stage `tasks` recorded them."""
        if self._reader is not None and file_of(part) not in self._files_of_tasks():
            self._refuse_other_files()
        return self._recorded_parts().played()[part]

    def parts(self) -> Parts:
        """The tasks that are demonstrated, explored and tested, as the stage `tasks` recorded them.

        Without its record they are chosen, once: openings are looked at, one reset each.
        """
        self._refuse_other_files()
        return self._recorded_parts()

    def _files_of_tasks(self) -> tuple[str, ...]:
        return () if self._reader is None else self._reader.files.get("tasks", ())

    def _refuse_other_files(self) -> None:
        if self._reader is not None and (files := self._files_of_tasks()):
            raise LookupError(
                f"the stage {self._reader.name} reads tasks of other parts than "
                f"{', '.join(files)}, which its StageSpec.files has: a change of them would not "
                "redo the stage"
            )

    def _recorded_parts(self) -> Parts:
        file = self.folder("tasks") / TASKS_FILE
        if self._parts is None:
            recorded = None
            if file.is_file() and not self.chooses_anew:
                record = read_json(file, remedy="put it back, or redo the stage with --force tasks")
                recorded = Parts.from_record(record, visible(str(file)))
            self._parts = recorded or self._choose()
        return self._parts

    def parts_record(self) -> dict[str, Any]:
        """What the stage `tasks` records."""
        return {**self.parts().to_record(), **self._files_read()}

    def _choose(self) -> Parts:
        tasks, environment = self.config.tasks, self.config.environment
        panels = sum(panel.count for panel in tasks.panels().values())
        explored = self.explored()
        num_explored = tasks.explore or (0 if explored is None else len(explored.by_task))
        wanted = panels + tasks.demonstrations + num_explored
        with self.bar.steps("tasks") as update:
            return choose_parts(
                tasks,
                self.pool(),
                self.demonstrated(),
                explored,
                environment.task_type,
                lambda num_taken: update(num_taken, wanted, {}),
            )

    def _note_files(self) -> None:
        """Before the first of them is read."""
        if self._read_from is None:
            self._read_from = self._files_read()

    def _forget_what_has_changed(self) -> None:
        """What was read of files that are others now, hours after a run's first look at them: a
        stage is made from what is written down as its inputs."""
        files = self._files_read()
        if files != self._read_from:
            self._read_from = files
            self._demonstrated = self._explored = self._parts = None

    def _files_read(self) -> dict[str, str | None]:
        """The hashes of the files that tasks are chosen from, under their keys in the record."""
        paths = {
            "demonstrations_from": self.config.demonstrations,
            "explored_from": self.config.explore.trajectories,
        }
        return {
            key: None
            if path is None or not path.exists()
            else json.dumps(self._hashes.of_files(path))
            for key, path in paths.items()
        }

    def demonstrated(self) -> Demonstrated | None:
        """The file of `demonstrations`, read once; None where the expert plays."""
        path = self.config.demonstrations
        if path is None:
            return None
        least = self.config.evaluate.success_threshold
        if self._demonstrated is None:
            self._note_files()
            self._demonstrated = read_demonstrated(path, least)
        return self._demonstrated

    def explored(self) -> ExploredFile | None:
        """The file of `explore.trajectories`, read once; None where the weak model explores."""
        path = self.config.explore.trajectories
        if path is not None and self._explored is None:
            self._note_files()
            self._explored = read_explored(path)
        return self._explored

    def pool(self) -> EnvironmentPool:
        """The run's environment processes, started once for all stages."""
        environment = self.config.environment
        if self._pool is None:
            self._pool = self._resources.enter_context(environment.pool())
        return self._pool

    def play(
        self, stage: str, pool: EnvironmentPool, policy: Policy, plans: Sequence[EpisodePlan]
    ) -> list[Trajectory]:
        """Roll out every plan, telling how it goes."""
        episodes = rollout(pool, policy, plans, instruction=self.config.prompt.instruction)
        return self.told(stage, episodes, len(plans))

    def told(self, stage: str, episodes: Iterable[Trajectory], num_plans: int) -> list[Trajectory]:
        """All of the episodes, telling how it goes as they end."""
        played: list[Trajectory] = []
        cut_returns = CutReturnCount()
        causes = Causes()
        return_sum = 0.0
        with self.bar.steps(f"{stage} episodes") as update:
            for trajectory in episodes:
                played.append(trajectory)
                cut_returns.add(trajectory)
                if trajectory.status == "error":
                    causes.add(trajectory)
                else:
                    return_sum += trajectory.total_return
                scored = len(played) - causes.total
                mean = return_sum / scored if scored else None
                update(len(played), num_plans, _figures(mean, causes))
        cut_returns.warn()
        if causes.total:
            _say_what_failed(stage, causes, len(played))
        return played

    def rest(self) -> None:
        """End the environment processes while others play; the next use starts them."""
        if self._pool is not None:
            self._pool.drop(range(len(self._pool)))

    def close(self) -> None:
        """Stop the environment processes."""
        self._resources.close()
        self._pool = None


def _figures(mean_return: float | None, causes: Causes) -> dict[str, float | str]:
    """For `Update`; no mean of nothing."""
    figures: dict[str, float | str] = {"num_errors": causes.total}
    if mean_return is not None:
        figures["mean_return"] = mean_return
    return {**figures, "cause": causes.commonest()[0].example} if causes.total else figures


def _say_what_failed(stage: str, causes: Causes, num_played: int) -> None:
    """Raises `ExplorationFailure` where all did: nothing was measured, and 0 is no measurement."""
    words = "\n".join(
        [
            f"{stage}: {causes.total} of {num_played} episodes ended in an error:",
            *causes_in_words(causes.commonest(), causes.total),
        ]
    )
    if causes.total == num_played:
        raise ExplorationFailure(f"{words}\nmend it and run the same command again to go on")
    warnings.warn(words, SamplesUnfinished, stacklevel=3)


def _name(of: str, run_dir: Path) -> str:
    """`quickstart`, `twc_two--seed-3`, `runs-a.quickstart`: a part of a file's name."""
    folder = run_dir.resolve().name
    named = folder if of in folder else f"{folder}.{of}"
    return re.sub(r"[^\w.-]+", "-", named)
