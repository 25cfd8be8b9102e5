"""Runs and rows with nothing wrong with them, to plant one fault at a time into."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.react import render_turn


def run(
    task: str,
    actions: list[str],
    total_return: float,
    *,
    answers: list[str] | None = None,
    sample: int = 0,
    **other: Any,
) -> Trajectory:
    """Actions and what each is answered; an answer follows from the history alone."""
    told = answers or [f"After {'; '.join(actions[: i + 1])}." for i in range(len(actions))]
    return Trajectory(
        task,
        (Message("user", f"Do {task}."),),
        tuple(Step(a, o, render_turn("So.", a)) for a, o in zip(actions, told, strict=True)),
        total_return,
        "done",
        Origin(sample_index=sample),
        **other,
    )


def clean_runs() -> list[Trajectory]:
    """Two tasks; two runs a side, words of one length, one turn: no rule has a word to say."""
    return [
        run(task, [action], total_return, sample=i)
        for task in ("cook", "wash")
        for i, (action, total_return) in enumerate(
            [("take a", 1), ("take a", 1), ("take b", 0)] * 2
        )
    ]


def preference(i: int = 0, **fields: Any) -> dict[str, Any]:
    """A row of TRL's conversational form, with what `w2stree pairs` writes beside it."""
    return {
        "prompt": [{"role": "user", "content": f"Do task {i}."}],
        "chosen": [{"role": "assistant", "content": f"take {'ab'[i % 2]}"}],
        "rejected": [{"role": "assistant", "content": f"take {'ba'[i % 2]}"}],
        "task_id": f"task-{i}",
        "gap": 0.5,
        "chosen_return": 1.0,
        "rejected_return": 0.5,
        "num_chosen": 2,
        "num_rejected": 3,
        **fields,
    }


def clean_preferences() -> list[dict[str, Any]]:
    return [preference(i) for i in range(24)]


def conversation(i: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"Do task {i}."},
            {"role": "assistant", "content": "take a"},
        ],
        "task_id": f"task-{i}",
        "total_return": 1.0,
        **fields,
    }


def clean_conversations() -> list[dict[str, Any]]:
    return [conversation(i) for i in range(4)]


def tokens(i: int = 0, **fields: Any) -> dict[str, Any]:
    return {"input_ids": [40, 41, 42, 43 + i], "labels": [-100, -100, 42, 43 + i], **fields}


def clean_tokens() -> list[dict[str, Any]]:
    return [tokens(i) for i in range(4)]


def with_steps(given: Trajectory, **fields: Any) -> Trajectory:
    """Every step changed."""
    return replace(given, steps=tuple(replace(step, **fields) for step in given.steps))
