"""Results as tau-bench writes them, by its published schema (docs/formats.md names the source).

[{"task_id": 3, "trial": 0, "reward": 1.0, "info": {"task": …, "reward_info": …}, "traj": […]}]
"""

from __future__ import annotations

import json
from typing import Any

Record = dict[str, Any]

POLICY = "You are an agent of a shop."
TASK = {
    "user_id": "mia_1",
    "actions": [{"name": "cancel_order", "kwargs": {"order": "A1"}}],
    "instruction": "You want order A1 to be cancelled.",
    "outputs": [],
}


def call(name: str, **arguments: Any) -> Record:
    """A turn of the agent's that calls a tool, as litellm dumps it."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "content": None,
        "role": "assistant",
        "tool_calls": [{"function": function, "id": f"call_{name}", "type": "function"}],
        "function_call": None,
    }


def answer(name: str, content: str) -> Record:
    return {"role": "tool", "tool_call_id": f"call_{name}", "name": name, "content": content}


def reply(content: str) -> Record:
    return {"content": content, "role": "assistant", "tool_calls": None, "function_call": None}


def user(content: str) -> Record:
    return {"role": "user", "content": content}


def result(
    *turns: Record,
    task_id: int = 3,
    trial: int = 0,
    reward: float = 1.0,
    asks: str = "Cancel my order, please.",
    is_cut: bool = False,
) -> Record:
    """One run; where the step limit cut it nothing was rewarded, so that `reward_info` is null."""
    rewarded = {"reward": reward, "info": {"r_actions": reward, "gt_data_hash": "0f"}}
    return {
        "task_id": task_id,
        "reward": 0.0 if is_cut else reward,
        "info": {
            "task": TASK,
            "source": "user",
            "user_cost": 0.001,
            "reward_info": None if is_cut else rewarded | {"actions": TASK["actions"]},
        },
        "traj": [{"role": "system", "content": POLICY}, user(asks), *turns],
        "trial": trial,
    }


CANCELLED = (
    reply("Which one?"),
    user("A1."),
    call("cancel_order", order="A1"),
    answer("cancel_order", '{"status": "cancelled"}'),
    reply("It is cancelled."),
    user("###STOP###"),
)
REFUSED = (
    reply("Which one?"),
    user("A1."),
    reply("That cannot be done."),
    user("###STOP###"),
)


def failed(task_id: int = 3, trial: int = 0) -> Record:
    """Something outside failed: tau-bench writes a reward of 0.0 and no messages."""
    return {
        "task_id": task_id,
        "reward": 0.0,
        "info": {"error": "RateLimitError: slow down", "traceback": "Traceback …"},
        "traj": [],
        "trial": trial,
    }


def worded(*turns: tuple[str, Record, str]) -> list[Record]:
    """Turns of the agents that name their tool in words, and what they read then."""
    said: list[Record] = []
    for thought, action, answered in turns:
        words = f"Thought:\n{thought}\nAction:\n{json.dumps(action)}"
        said.append({"role": "assistant", "content": words})
        said.append(user(answered))
    return said
