"""What a view holds of the runs: whose they are, and what was said in them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.forest.forest import Forest
from w2stree.shorten import visible
from w2stree.trajectories.origin import Origin, making
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.viewer.packing import narrow
from w2stree.viewer.text_table import TextTable

Columns = dict[str, NDArray[Any]]

STATUSES = ("done", "truncated", "error")


def run_columns(
    forest: Forest, trajectories: Sequence[Trajectory], places: Sequence[str], texts: TextTable
) -> Columns:
    """By run, in the order of `trajectory_order`: `run_status`, `run_place` (a text, 0 where it is
    not known), `run_origin` (a text), `run_prompt`; by step of these runs, one run after the other,
    `step_response` (0 where nothing but the action was said), `step_observation` (0 where it is the
    node's to the letter, else the text's number + 1) and `step_reward` (NaN where there is none),
    the last two only where there are any. By prompt `prompt_start`, by message of them
    `message_role`, `message_text`.
    O(steps)."""
    order, step_node = forest.trajectory_order, forest.step_node
    start = np.zeros(len(order) + 1, np.int64)
    np.cumsum(forest.depth[forest.end_node], out=start[1:])
    own = forest.observation_id
    status, place, origin, prompt = (array("I") for _ in range(4))
    response, other = array("I"), array("I")
    reward = array("d")
    prompts: dict[tuple[Message, ...], int] = {}
    for index in order.tolist():
        run = trajectories[index]
        status.append(STATUSES.index(run.status))
        place.append(texts.number(visible(places[index])) if places else 0)
        origin.append(texts.number(_described(run.origin)))
        prompt.append(prompts.setdefault(run.prompt, len(prompts)))
        nodes = step_node[start[index] : start[index + 1]]
        for step, observation in zip(run.steps, own[nodes].tolist(), strict=True):
            response.append(texts.number(_said(step)))
            is_own = step.observation == forest.observations[observation]
            other.append(0 if is_own else texts.number(step.observation) + 1)
            reward.append(np.nan if step.reward is None else step.reward)
    columns: Columns = {
        "run_status": _numbers(status),
        "run_place": _numbers(place),
        "run_origin": _numbers(origin),
        "run_prompt": _numbers(prompt),
        "step_response": _numbers(response),
    }
    if any(other):
        columns["step_observation"] = _numbers(other)
    rewards = np.frombuffer(reward, np.float64)
    if not np.isnan(rewards).all():
        columns["step_reward"] = rewards
    return columns | _prompt_columns(list(prompts), texts)


def _prompt_columns(prompts: list[tuple[Message, ...]], texts: TextTable) -> Columns:
    lengths = np.cumsum([0, *(len(messages) for messages in prompts)])
    messages = [message for prompt in prompts for message in prompt]
    return {
        "prompt_start": narrow(lengths),
        "message_role": texts.numbers(message.role for message in messages),
        "message_text": texts.numbers(message.content for message in messages),
    }


def _numbers(values: array[int]) -> NDArray[Any]:
    return narrow(np.array(values, np.uint32))


def _said(step: Step) -> str:
    """What the agent said where it is more than its action."""
    return "" if step.response.strip() in ("", step.action.strip()) else step.response


def _described(origin: Origin) -> str:
    known = {**making(origin), "cut by": origin.truncated_by}
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
