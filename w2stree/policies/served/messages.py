"""An episode's history as the messages of a chat."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from w2stree.policies.protocol import Episode
from w2stree.trajectories.trajectory import Step, refuse_wordless


def messages_of(episode: Episode) -> list[dict[str, Any]]:
    """Prompt, turns and answers. Raises `InvalidInput` for a step that does not say what the agent
    said (`refuse_wordless`)."""
    refuse_wordless(episode.steps, "the history")
    history: list[dict[str, Any]] = [asdict(message) for message in episode.prompt]
    for step in episode.steps:
        history += _exchange(step) if step.tool_calls else _said(step)
    return history


def _said(step: Step) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": step.response},
        {"role": "user", "content": step.observation},
    ]


def _exchange(step: Step) -> list[dict[str, Any]]:
    """Calls and their answers. Each call wants one; the environment answers all of a turn at once,
    after the last."""
    ids = [call.id or f"call_{i}" for i, call in enumerate(step.tool_calls)]
    calls = [
        {
            "id": call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call_id, call in zip(ids, step.tool_calls, strict=True)
    ]
    contents = [""] * (len(ids) - 1) + [step.observation]
    return [
        {"role": "assistant", "content": step.response or None, "tool_calls": calls},
        *(
            {"role": "tool", "tool_call_id": call_id, "content": content}
            for call_id, content in zip(ids, contents, strict=True)
        ),
    ]
