"""What a run must say for a row to be made of it: its task, and the agent's own words."""

from __future__ import annotations

from dataclasses import replace

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.react import render_turn


def rendered(trajectory: Trajectory) -> Trajectory:
    """With `Action: …` for turns of which only the action is known."""
    if all(step.is_worded for step in trajectory.steps):
        return trajectory
    steps = tuple(
        s if s.is_worded else replace(s, response=render_turn("", s.action))
        for s in trajectory.steps
    )
    return replace(trajectory, steps=steps)


def require_prompt(trajectory: Trajectory) -> None:
    """Raises `InvalidInput` for a trajectory that does not say what its task is."""
    if not trajectory.prompt:
        raise InvalidInput(
            f"task {trajectory.task_id!r}: a trajectory has no prompt, and a row would ask for "
            "actions without saying what for; a forest from a file, Arrow, texts or ids keeps no "
            "prompts and no turns: give it the trajectories (open_forest(…, trajectories=…) or "
            "forest.with_trajectories(…)); of messages that begin with a greeting of the agent "
            "say how many are the task's (prompt=2, --prompt 2)"
        )
