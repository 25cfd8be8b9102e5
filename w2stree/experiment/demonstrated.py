"""Demonstrations from a file of trajectories: whoever played them shows the tasks, not an expert.

file        task 7: r=1, r=0.5     task 2: r=1 in 9 steps, r=1 in 4     task 9: r=0
shown       task 7: r=1            task 2: r=1 in 4

The thoughts and actions of each shown task are played again. That new episode is the
demonstration: it opens as a model's episodes do and has today's answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from w2stree.environments.protocol import ExpertTurn
from w2stree.errors import Error, InvalidInput
from w2stree.shorten import quoted, where_they_part
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.returns import at_least, check_returns
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.react import parse_action, parse_thought, render_turn

_SHOWN_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """A file's successful trajectories: of each task the best, in the order of the file.

    The best has the highest return; of equals it is the shortest, then the first.
    """

    path: Path
    by_task: Mapping[str, Trajectory]
    num_read: int
    num_successful: int

    @property
    def summary(self) -> str:
        """What is in the file, for a message."""
        return (
            f"{self.path} has {self.num_read} trajectories, {self.num_successful} of them "
            f"successful (see evaluate.success_threshold), of {len(self.by_task)} tasks"
        )

    def turns(self, task_id: str) -> list[ExpertTurn]:
        """What was thought and done in the demonstration of a task."""
        return [
            ExpertTurn(parse_thought(step.response), step.action)
            for step in self.by_task[task_id].steps
        ]

    def refuse_another(self, replayed: Trajectory, statement: str) -> None:
        """Raises `InvalidInput` if today's environment shows, answers or scores otherwise.

        `replayed` is the demonstration of its task played again, `statement` what the environment
        shows first; in the file an instruction may stand before it.
        """
        recorded = self.by_task[replayed.task_id]
        opened = recorded.prompt[-1].content if recorded.prompt else statement
        if not opened.endswith(statement):
            raise self._refusal(replayed.task_id, "the task's opening", opened, statement)
        steps = zip(recorded.steps, replayed.steps, strict=False)
        for number, (before, now) in enumerate(steps, start=1):
            if before.observation != now.observation:
                what = f"the answer to step {number}, {now.action!r},"
                raise self._refusal(replayed.task_id, what, before.observation, now.observation)
        if (len(replayed.steps), replayed.status) != (len(recorded.steps), "done"):
            ended = "has ended" if replayed.status == "done" else "has not ended"
            raise InvalidInput(
                f"{self.path}: {replayed.task_id} ended after {len(recorded.steps)} steps there; "
                f"in this environment it {ended} after {len(replayed.steps)} (see "
                "environment.max_steps). Play it again, or leave it out"
            )
        if abs(replayed.total_return - recorded.total_return) > 1e-9:
            scores = [f"{t.total_return:g}" for t in (recorded, replayed)]
            raise self._refusal(replayed.task_id, "the return", *scores)

    def _refusal(self, task_id: str, what: str, before: str, now: str) -> InvalidInput:
        start = where_they_part(before, now)
        where = f" from character {start} on" if start else ""
        return InvalidInput(
            f"{self.path}: {task_id}: {what} is{where} {quoted(before[start:], _SHOWN_COLUMNS)} "
            f"there; this environment has {quoted(now[start:], _SHOWN_COLUMNS)}. Was it played "
            "with other settings? Play it again, or leave it out"
        )


def read_demonstrated(path: Path, success_threshold: float) -> Demonstrated:
    """The successful trajectories of what `read_trajectories` reads at `path`.

    A trajectory is successful if the environment ended it (`done`) with a return of at least
    `success_threshold`, and each of its turns has an action. Raises `InvalidInput` for what cannot
    be read and for a return outside [0, 1], where the threshold would mean something else.
    """
    try:
        read = read_trajectories(path)
    except (OSError, Error) as error:
        raise InvalidInput(f"demonstrations: {error}") from None
    check_returns(
        ((f"{path}: task {t.task_id!r}", t.total_return) for t in read if t.status == "done"),
        None,
        fix="success is told by it: put returns on [0, 1]",
    )
    successful = [t for t in read if _is_demonstration(t, success_threshold)]
    best: dict[str, Trajectory] = {}
    for trajectory in successful:
        known = best.get(trajectory.task_id)
        if known is None or _merit(trajectory) > _merit(known):
            best[trajectory.task_id] = trajectory
    _refuse_calls(path, read)
    return Demonstrated(path, best, len(read), len(successful))


def _refuse_calls(path: Path, read: Sequence[Trajectory]) -> None:
    """Raises `InvalidInput` for runs that call tools: their calls would be shown as words."""
    for trajectory in read:
        if any(step.tool_calls for step in trajectory.steps):
            raise InvalidInput(
                f"demonstrations: {path}: {trajectory.task_id} calls tools; "
                "demonstrations are turns in words (a thought, `Action: …`): leave it out"
            )


def _merit(trajectory: Trajectory) -> tuple[float, int]:
    return trajectory.total_return, -len(trajectory.steps)


def _is_demonstration(trajectory: Trajectory, success_threshold: float) -> bool:
    is_success = trajectory.status == "done" and at_least(
        trajectory.total_return, success_threshold
    )
    return is_success and _can_be_said([step.action for step in trajectory.steps])


def _can_be_said(actions: Sequence[str]) -> bool:
    """Whether a model's turns could be these actions: one line each, and none empty."""
    said = [parse_action(render_turn("", action)) for action in actions]
    return bool(said) and said == list(actions)
