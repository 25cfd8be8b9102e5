"""Results as tau2-bench writes them, by its published schema (docs/formats.md names the source).

{"info": {…}, "tasks": […], "simulations": [{"task_id": "3", "messages": […], "reward_info": …}]}
"""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]

POLICY = "# Airline agent policy"
GREETING = "Hi! How can I help you today?"


def message(role: str, content: str | None, i: int, **more: Any) -> Record:
    """`ParticipantMessageBase`, some of its nulls left in."""
    return {
        "role": role,
        "content": content,
        "tool_calls": None,
        "is_audio": False,
        "turn_idx": i,
        "timestamp": f"2026-01-02T03:04:{i:02}",
        "usage": None,
    } | more


def call(name: str, by: str = "assistant", **arguments: Any) -> list[Record]:
    return [{"id": f"call_{name}", "name": name, "arguments": arguments, "requestor": by}]


def answer(name: str, content: str, i: int, by: str = "assistant") -> Record:
    """`ToolMessage`."""
    shared = {"role": "tool", "content": content, "requestor": by, "error": False}
    return {"id": f"call_{name}", "turn_idx": i} | shared


USAGE = {"prompt_tokens": 9, "completion_tokens": 3}
MESSAGES = [
    message("assistant", GREETING, 0, cost=0.0),
    message("user", "Cancel my order, please.", 1, usage=USAGE),
    message("assistant", None, 2, tool_calls=call("cancel", order="A1"), usage=USAGE),
    answer("cancel", '{"status": "cancelled"}', 3),
    message("assistant", "Please restart your phone.", 4, usage=USAGE),
    message("user", None, 5, tool_calls=call("restart", by="user")),
    answer("restart", "Restarted.", 6, by="user"),
    message("user", "Done.", 7),
    message("assistant", "It is cancelled.", 8, usage=USAGE),
    message("user", "###STOP###", 9),
]


def simulation(**changes: Any) -> Record:
    """`SimulationRun`."""
    return {
        "id": "5f",
        "task_id": "3",
        "timestamp": "2026-01-02T03:04:05",
        "start_time": "2026-01-02T03:04:05",
        "end_time": "2026-01-02T03:05:05",
        "duration": 60.0,
        "termination_reason": "user_stop",
        "agent_cost": 0.01,
        "user_cost": None,
        "reward_info": {"reward": 1.0, "db_check": {"db_match": True, "db_reward": 1.0}},
        "messages": MESSAGES,
        "ticks": None,
        "trial": 0,
        "seed": 300,
        "mode": "half_duplex",
    } | changes


def results(*simulations: Record) -> Record:
    """`Results`."""
    return {
        "timestamp": "2026-01-02T03:04:05",
        "info": {
            "git_commit": "0f",
            "num_trials": 2,
            "max_steps": 100,
            "max_errors": 10,
            "user_info": {"implementation": "user_simulator", "llm": "u"},
            "agent_info": {"implementation": "llm_agent", "llm": "gpt-4.1"},
            "environment_info": {"domain_name": "airline", "policy": POLICY},
            "seed": 300,
        },
        "tasks": [{"id": "3", "user_scenario": {"instructions": "Cancel order A1."}}],
        "simulations": list(simulations),
    }
