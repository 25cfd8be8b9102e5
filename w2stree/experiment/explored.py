"""Explored runs from a file: somebody has played, and the weak model need not.

file        task 7: r=1, r=0.5, error     task 2: r=0, r=0.2     task 9: r=1
here        tested: left out              explored               of no train fold: left out
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from w2stree.errors import Error, InvalidInput
from w2stree.shorten import quoted, where_they_part
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.returns import check_returns
from w2stree.trajectories.trajectory import Message, Trajectory

_KEY = "explore.trajectories"
_SHOWN_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class ExploredFile:
    """A file's runs by task, in the order of the file; those that ended in an error are kept, and
    are runs of nothing."""

    path: Path
    by_task: Mapping[str, list[Trajectory]]

    @property
    def num_runs(self) -> int:
        return sum(len(runs) for runs in self.by_task.values())

    def opened(
        self, task_id: str, statement: str, prompt: tuple[Message, ...]
    ) -> tuple[list[Trajectory], int]:
        """The runs of a task with `prompt`, as episodes of today's run open, and how many of them
        had another one: an instruction of their own before what the environment shows.

        Raises `InvalidInput` where a run opens with something else than `statement`, what the
        environment shows first.
        """
        runs = self.by_task[task_id]
        for run in runs:
            if run.status != "error":
                self._refuse_another(run, statement)
        opened = [replace(run, prompt=prompt) for run in runs]
        return opened, sum(run.prompt != prompt for run in runs)

    def _refuse_another(self, run: Trajectory, statement: str) -> None:
        if not run.prompt:
            raise InvalidInput(
                f"{_KEY}: {self.path}: {run.task_id}: a run has no prompt, so it is not known "
                "whether it was played in this environment; leave it out"
            )
        opened = run.prompt[-1].content
        if opened.endswith(statement):
            return
        start = where_they_part(opened, statement)
        where = f" from character {start} on" if start else ""
        raise InvalidInput(
            f"{_KEY}: {self.path}: {run.task_id}: a run opens{where} with "
            f"{quoted(opened[start:], _SHOWN_COLUMNS)}; this environment has "
            f"{quoted(statement[start:], _SHOWN_COLUMNS)}. Was it played with other settings? "
            "Set those, or leave it out"
        )


def read_explored(path: Path) -> ExploredFile:
    """What `read_trajectories` reads at `path`.

    Raises `InvalidInput` for what cannot be read, where no run was played to its end, for a return
    outside [0, 1], which no environment here gives, and for runs that call tools: the models that
    learn from them are tested in words.
    """
    try:
        read = read_trajectories(path)
    except (OSError, Error) as error:
        raise InvalidInput(f"{_KEY}: {error}") from None
    finished = [t for t in read if t.status != "error"]
    if not finished:
        raise InvalidInput(
            f"{_KEY}: {path} has {len(read)} runs, none of which was played to its end"
        )
    check_returns(
        ((f"{path}: task {t.task_id!r}", t.total_return) for t in finished),
        None,
        fix="environments here score on it: put returns on [0, 1]",
    )
    _refuse_calls(path, finished)
    by_task: dict[str, list[Trajectory]] = {}
    for trajectory in read:
        by_task.setdefault(trajectory.task_id, []).append(trajectory)
    return ExploredFile(path, by_task)


def _refuse_calls(path: Path, read: Iterable[Trajectory]) -> None:
    for trajectory in read:
        if any(step.tool_calls for step in trajectory.steps):
            raise InvalidInput(
                f"{_KEY}: {path}: {trajectory.task_id} calls tools; the models that learn from it "
                "here are tested in words (a thought, `Action: …`): train them by `w2stree train`, "
                "or leave it out"
            )
