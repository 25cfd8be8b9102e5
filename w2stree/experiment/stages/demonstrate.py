"""Stages that play demonstrations: the expert's, or those of a file again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from w2stree.environments.protocol import ExpertTurn
from w2stree.errors import EnvironmentFailure, EnvironmentNotStarted, InvalidInput
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import record
from w2stree.rollouts.rollout import opening
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Status, Step, Trajectory
from w2stree.turns.react import render_turn


def demonstrations(context: Context, out: StageWriter) -> None:
    """Demonstrations of the tasks set aside for them."""
    record(out, _demonstrate(context, "demonstrations", context.task_ids("demonstrations")))


def ceiling_demonstrations(context: Context, out: StageWriter) -> None:
    """Demonstrations of the explored tasks, for the ceiling model alone."""
    record(out, _demonstrate(context, "ceiling_demonstrations", context.task_ids("explore")))


def _demonstrate(context: Context, stage: str, tasks: Sequence[str]) -> list[Trajectory]:
    """Skips tasks that the expert does not finish, or that the file does not have."""
    if context.demonstrated() is None:
        return _by_expert(context, stage, tasks)
    return _from_file(context, stage, tasks)


def _by_expert(context: Context, stage: str, tasks: Sequence[str]) -> list[Trajectory]:
    least = context.config.evaluate.success_threshold
    shown: list[Trajectory] = []
    failures: list[EnvironmentFailure] = []
    for task_id in context.bar(tasks, total=len(tasks), what=f"{stage} episodes"):
        try:
            shown.append(_shown(context, task_id))
        except EnvironmentNotStarted:
            raise
        except EnvironmentFailure as failure:  # a game without a solution, or whose engine fails
            failures.append(failure)
            context.pool().replace(0)
    whole = [t for t in shown if t.status == "done" and at_least(t.total_return, least)]
    advice = "raise environment.max_steps, or lower evaluate.success_threshold, for more"
    if failures:
        advice += f"; {len(failures)} failed (the first one: {failures[0]})"
    if not whole:
        raise EnvironmentFailure(f"the expert finishes none of {len(tasks)} tasks; {advice}")
    if len(whole) < len(tasks):
        unfinished = len(tasks) - len(whole)
        warnings.warn(
            f"{stage}: the expert does not finish {unfinished} of {len(tasks)} tasks; {advice}",
            stacklevel=2,
        )
    return whole


def _shown(context: Context, task_id: str) -> Trajectory:
    environment = context.pool()[0]
    statement, _ = environment.call("reset", task_id)
    turns = environment.call("expert")
    return _played(context, task_id, statement, turns, Origin(policy="expert"))


def _from_file(context: Context, stage: str, tasks: Sequence[str]) -> list[Trajectory]:
    """The file's thoughts and actions, played again in today's environment."""
    demonstrated = context.demonstrated()
    assert demonstrated is not None
    environment = context.pool()[0]
    there = [task for task in tasks if task in demonstrated.by_task]
    if not there:
        raise InvalidInput(f"{stage}: {demonstrated.summary}, none of the {len(tasks)} wanted here")
    if len(there) < len(tasks):
        warnings.warn(
            f"{stage}: {demonstrated.path} demonstrates {len(there)} of {len(tasks)} tasks",
            stacklevel=2,
        )
    shown = []
    for task_id in context.bar(there, total=len(there), what=f"{stage} episodes"):
        statement, _ = environment.call("reset", task_id)
        origin = demonstrated.by_task[task_id].origin
        played = _played(
            context, task_id, statement, demonstrated.turns(task_id), Origin(policy=origin.policy)
        )
        demonstrated.refuse_another(played, statement)
        shown.append(played)
    return shown


def _played(
    context: Context, task_id: str, statement: str, turns: Sequence[ExpertTurn], origin: Origin
) -> Trajectory:
    """The turns in the environment that has just shown `statement`, as far as it lets them."""
    environment, config = context.pool()[0], context.config
    steps: list[Step] = []
    status: Status = "truncated"
    score = 0.0
    for turn in turns:
        observation, reward, terminated, truncated, info = environment.call("step", turn.action)
        score = info["score"]
        thought = turn.thought if config.decoding.thought else ""
        response = render_turn(thought, turn.action)
        steps.append(Step(turn.action, observation, response, reward=reward))
        if terminated:
            status = "done"
        if terminated or truncated:
            break
    messages = opening(config.prompt.instruction, statement)
    return Trajectory(task_id, messages, tuple(steps), score, status, origin)
