"""Records as AgentGym writes them, by its published schema (docs/formats.md names the source).

AgentTraj             conversations (from, loss, value), item_id
of its own inference  … reward, success, one a line
"""

from __future__ import annotations

from typing import Any

from support.played_runs import Played, Turn


def message(who: str, value: str, loss: bool | None = None) -> dict[str, Any]:
    return {"from": who, "loss": loss, "value": value}


def spoken(turn: Turn) -> str:
    return f"Thought:\n{turn.thought}\n\nAction:\n{turn.action}"


def published(run: Played) -> dict[str, Any]:
    """As the trajectory set has it: without a reward, and without the last answer."""
    conversations = [
        message("human", run.instruction),
        message("gpt", "Ok.", loss=False),
        message("human", run.task),
    ]
    for turn in run.turns:
        conversations += [message("gpt", spoken(turn), loss=True), message("human", turn.answer)]
    return {"conversations": conversations[:-1], "item_id": run.task_id}


def inferred(run: Played) -> dict[str, Any]:
    """As `agentevol_trainer` writes what its model played."""
    record = published(run)
    record["conversations"].append(message("human", run.turns[-1].answer))
    return record | {"reward": run.score, "success": int(run.score == 1)}


def asked(run: Played) -> dict[str, Any]:
    """A task of AgentEval: no run."""
    return {"conversations": None, "item_id": run.task_id}
