"""Runs of three tasks in a hall, with odd letters or tool calls, and their preferences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import w2stree as w2s
from w2stree.rows.rows import preference_rows

SYSTEM = w2s.Message("system", "Play.\u2028")


def run(task: str, turns: list[tuple[str, str]], total_return: float, **more: Any) -> Any:
    steps = tuple(w2s.Step(a, o, f"Thought: ü {a}\nAction: {a}") for a, o in turns)
    prompt = (SYSTEM, w2s.Message("user", f"Task {task}."))
    return w2s.Trajectory(task, prompt, steps, total_return, "done", **more)


RUNS = [
    run(task, [("look", "A hall."), *turns], total_return)
    for task in ("a", "b", "c")
    for turns, total_return in (
        ([("left", "A door."), ("open", "Done.")], 1.0),
        ([("right", "A wall.\ud800"), ("open", "No.")], 0.25),
        ([("wait", "Nothing.")], 0.0),
    )
]
CALLS = [
    replace(
        RUNS[i],
        steps=(
            w2s.Step(
                f'go {{"to":"{to}"}}',
                "There.",
                tool_calls=(w2s.ToolCall("go", f'{{"to":"{to}"}}', "c1"),),
            ),
        ),
    )
    for i, to in ((0, "x"), (1, "y"))
]


def preferences(runs: Any = RUNS, completion: Any = "step") -> Any:
    return preference_rows(w2s.build_forest(runs).pairs(), completion)


def without_none(value: Any) -> Any:
    """A table has every key in every message."""
    if isinstance(value, dict):
        return {k: without_none(v) for k, v in value.items() if v is not None and v != []}
    return [without_none(v) for v in value] if isinstance(value, list) else value
