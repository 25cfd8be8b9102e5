"""Files as ETO writes them, by its published schema (docs/formats.md names source and commit).

outputs/weak-explore-0/webshop/12.json    one run a file: meta, conversations
data/webshop_sft.json                     the expert's: a list of id, conversations, reward
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.played_runs import LOOK, PAN, RUNS, Played, Turn

EXAMPLE = (LOOK, PAN)  # the one example that stands before the task


def said(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [
        message
        for turn in turns
        for message in (
            {"from": "gpt", "value": turn.said},
            {"from": "human", "value": f"Observation: {turn.answer}"},
        )
    ]


def opening(run: Played, example: Sequence[Turn] = EXAMPLE) -> list[dict[str, str]]:
    """The instruction, OK, one example (a task and its turns, the last answer left out), the
    task."""
    shown = [{"from": "human", "value": "Take the pan."}, *said(example)[:-1]] if example else []
    return [
        {"from": "human", "value": run.instruction},
        {"from": "gpt", "value": "OK"},
        *shown,
        {"from": "human", "value": run.task},
    ]


def explored(run: Played, *, game_file: str | None = None) -> dict[str, Any]:
    """What `State.to_dict` gives; ALFWorld's runs keep the game's file as `error`."""
    return {
        "meta": {
            "steps": len(run.turns),
            "reward": run.score,
            "finished": True,
            "success": not run.is_cut,
            "terminate_reason": "max_steps" if run.is_cut else "success",
            "error": game_file,
        },
        "conversations": opening(run) + said(run.turns),
    }


def ended_by_error(run: Played) -> dict[str, Any]:
    """The model did not answer: ETO calls any such error an exceeded length; no reward is set."""
    record = explored(run)
    record["meta"].update(reward=None, success=False)
    record["meta"]["terminate_reason"] = "exceeding maximum input length"
    return record


def expert(run: Played, *, with_reward: bool = True) -> dict[str, Any]:
    """One of the list for behavioural cloning; its last message is the agent's."""
    scored = {"reward": run.score} if with_reward else {}
    conversations = opening(run, ()) + said(run.turns)[:-1]
    return {"id": run.task_id, "conversations": conversations} | scored


def write_outputs(folder: Path, runs: Sequence[Played] = RUNS) -> Path:
    """`outputs/<model>/<task>/<task_id>.json`; several runs of a task are of several models."""
    attempts: dict[str, int] = {}
    for run in runs:
        attempt = attempts[run.task_id] = attempts.get(run.task_id, -1) + 1
        file = folder / "outputs" / f"weak-explore-{attempt}" / "kitchen" / f"{run.task_id}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(explored(run), indent=4))
    return folder / "outputs"
