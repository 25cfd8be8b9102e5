"""An experiment in TextWorld's commonsense game, one room with two things to put away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from w2stree import Step, Trajectory
from w2stree.experiment.config import load_config
from w2stree.experiment.stages.context import Context
from w2stree.rollouts.rollout import opening
from w2stree.trajectories.origin import Origin
from w2stree.turns.react import render_turn

TWC = {
    "name": "textworld_express",
    "game": "twc",
    "params": {"numLocations": 1, "numItemsToPutAway": 2, "includeDoors": 0},
    "max_steps": 12,
    "num_processes": 2,
}
TASKS = ("twc/train/0", "twc/train/103")


@contextmanager
def run_in(folder: Path, *overrides: str) -> Iterator[Context]:
    """The miniature in this game."""
    config = load_config("miniature", [f"environment={json.dumps(TWC)}", *overrides])
    with closing(Context(config, folder)) as context:
        yield context


def played(
    context: Context, task_id: str, actions: list[str], sample: int, instruction: str = ""
) -> Trajectory:
    """The run that takes these actions; where the game has not ended, the test stops it."""
    environment = context.pool()[0]
    statement, _ = environment.call("reset", task_id)
    steps, score, is_done = [], 0.0, False
    for action in actions:
        observation, reward, is_done, _, info = environment.call("step", action)
        steps.append(Step(action, observation, render_turn("", action), reward=reward))
        score = info["score"]
    cause = None if is_done else "the test stops here"
    origin = Origin(sample_index=sample, truncated_by=cause)
    status = "done" if is_done else "truncated"
    return Trajectory(task_id, opening(instruction, statement), tuple(steps), score, status, origin)
