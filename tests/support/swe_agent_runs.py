"""Files as SWE-agent writes them, by its published schema (docs/formats.md names the source).

cup-1.traj   trajectory  what was said, done and answered, a step each; `query`: what was read
             history     the messages, demonstrations included; tool calls
             info        exit_status, submission, model_stats, review
             replay_config, environment; attempts, of an agent that tries again
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.played_runs import Played, Turn

Record = dict[str, Any]


def run_of(run: Played, *, calls: bool = True, exit_status: str | None = "submitted") -> Record:
    """Version 1.1: tool calls in `history`, and each step with its `query`."""
    history = _opening(run)
    trajectory = []
    for i, turn in enumerate(run.turns):
        query = [{"role": m["role"], "content": m["content"]} for m in history]
        trajectory.append(_step(turn, calls, query))
        history += _said(turn, f"call_{i}" if calls else None)
    return {
        "trajectory": trajectory,
        "history": history,
        "info": {
            "swe_agent_version": "1.1.0",
            "exit_status": exit_status,
            "submission": "diff --git a/x b/x\n",
            "model_stats": {"instance_cost": 0.01, "tokens_sent": 10, "api_calls": 2},
        },
        "replay_config": "{}",
        "environment": "main",
    }


def of_0_7(run: Played, *, exit_status: str = "submitted") -> Record:
    """Before tool calls: the state is a text, an action ends with a line break, no `query`; a
    demonstration is one user's message."""
    record = run_of(run, calls=False, exit_status=exit_status)
    for step in record["trajectory"]:
        step.pop("query"), step.pop("execution_time"), step.pop("extra_info")
        step["state"] = json.dumps(step["state"])
        step["action"] += "\n"
    for item in record["history"]:
        item.pop("message_type"), item.pop("tool_calls", None), item.pop("thinking_blocks", None)
        if "action" in item:
            item["action"] += "\n"
    record["info"].pop("swe_agent_version")
    record.pop("replay_config")
    return record


def autosubmitted(run: Played, *, reason: str = "exit_cost") -> Record:
    """The limit's own step at the end: words that no model said."""
    record = run_of(run, exit_status=f"submitted ({reason})")
    said = "Exit due to cost limit"
    record["trajectory"].append(
        {
            "action": "",
            "observation": "Exited (autosubmitted)",
            "response": said,
            "thought": said,
            "execution_time": 0.0,
            "state": {},
            "query": [{}],
            "extra_info": {},
        }
    )
    record["history"] += _messages(said, said, "", "Exited (autosubmitted)", None)
    return record


def asked_again(run: Played) -> Record:
    """The second step was first said without a command: in `trajectory` alone."""
    record = run_of(run, calls=False)
    refused = dict(record["trajectory"][1]) | {
        "action": "",
        "observation": "",
        "response": "I will take it.",
        "thought": "I will take it.",
    }
    record["trajectory"].insert(1, refused)
    record["trajectory"][2]["query"] = [
        *refused["query"],
        {"role": "assistant", "content": "I will take it."},
        {"role": "user", "content": "Your output was not formatted correctly."},
    ]
    return record


def tried_again(runs: list[Played], best: int) -> Record:
    """`RetryAgent`: every attempt, and the best one's fields beside them."""
    attempts = [run_of(run) for run in runs]
    chosen: Record = json.loads(json.dumps(attempts[best]))
    chosen["info"]["best_attempt_idx"] = best
    return {"attempts": attempts} | chosen


def write(folder: Path, name: str, record: Record) -> Path:
    """`<instance>/<instance>.traj`: the record itself does not say which instance it is of."""
    file = folder / name / f"{name}.traj"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=2))
    return file


def _opening(run: Played) -> list[Record]:
    return [
        _item("system", run.instruction, message_type="system_prompt"),
        _item("user", "Here is a demonstration. …", message_type="demonstration", is_demo=True),
        _item("user", run.task, message_type="observation"),
    ]


def _step(turn: Turn, calls: bool, query: list[Record]) -> Record:
    return {
        "action": turn.action,
        "observation": turn.answer,
        "response": turn.thought if calls else _in_fence(turn),
        "thought": turn.thought,
        "execution_time": 0.1,
        "state": {"working_dir": "/kitchen"},
        "query": query,
        "extra_info": {},
    }


def _said(turn: Turn, call_id: str | None) -> list[Record]:
    said = turn.thought if call_id else _in_fence(turn)
    return _messages(said, turn.thought, turn.action, f"OBSERVATION:\n{turn.answer}", call_id)


def _messages(
    said: str, thought: str, action: str, answer: str, call_id: str | None
) -> list[Record]:
    name, _, what = action.partition(" ")
    function = {"name": name, "arguments": json.dumps({"what": what} if what else {})}
    calls = [{"id": call_id, "type": "function", "function": function}] if call_id else None
    turn = _item("assistant", said, message_type="action")
    turn |= {"thought": thought, "action": action, "tool_calls": calls, "thinking_blocks": []}
    answered = _item("tool" if call_id else "user", answer, message_type="observation")
    return [turn, answered | ({"tool_call_ids": [call_id]} if call_id else {})]


def _item(role: str, content: str, **more: Any) -> Record:
    return {"role": role, "content": content, "agent": "main"} | more


def _in_fence(turn: Turn) -> str:
    return f"{turn.thought}\n```\n{turn.action}\n```"
