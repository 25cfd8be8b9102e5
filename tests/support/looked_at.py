"""A log of three tasks to look at: one always won, one never, one now and then; and an error."""

from __future__ import annotations

from pathlib import Path

from w2stree import Message, Step, Trajectory, write_trajectories
from w2stree.trajectories.origin import Origin

WON, LOST, MIXED = "cook/always", "cook/never", "clean/sometimes"

# Task, return, actions, status.
_RUNS = (
    (WON, 1.0, "take eat", "done"),
    (WON, 1.0, "look eat", "done"),
    (LOST, 0.0, "take drop", "truncated"),
    (LOST, 0.0, "take wait", "done"),
    (MIXED, 1.0, "look take wash", "done"),
    (MIXED, 0.5, "look take", "done"),
    (MIXED, 0.0, "look wait", "done"),
    (LOST, 0.0, "", "error"),
)


def looked_at() -> list[Trajectory]:
    return [
        Trajectory(
            task,
            (Message("user", f"Your task is {task}."),),
            tuple(
                Step(action, f"You {action}.", f"Thought: {action}?\nAction: {action}")
                for action in actions.split()
            ),
            total_return,
            status,  # type: ignore[arg-type]
            Origin(
                sample_index=sample,
                seed=0,
                policy="script",
                temperature=1.0 if sample % 2 else 0.5,
                error="server 17 is away" if status == "error" else None,
            ),
        )
        for sample, (task, total_return, actions, status) in enumerate(_RUNS)
    ]


def write_log(folder: Path) -> Path:
    write_trajectories(folder / "log.jsonl", looked_at())
    return folder / "log.jsonl"
