"""ReAct turns: `Thought: …` then `Action: …`, one action a turn.

Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models", ICLR 2023.
"""

from __future__ import annotations

import re

THOUGHT = "Thought:"
ACTION = "Action:"
UNPARSED = "Your reply had no action. Reply with a line 'Thought: …' and a line 'Action: …'."
"""The observation of a turn without an action; such a turn costs a step."""

_AT_LINE_START = re.compile(r"^Action: *(.*)", re.MULTILINE)
_ANYWHERE = re.compile(r"Action: *(.*)")


def render_turn(thought: str, action: str) -> str:
    """The agent's turn as text; the thought line is left out where there is none."""
    return f"{THOUGHT} {thought}\n{ACTION} {action}" if thought else f"{ACTION} {action}"


def parse_thought(response: str) -> str:
    """What stands before the action that `parse_action` finds, on one line, without `Thought:`."""
    match = _action(response)
    before = response[: match.start()] if match else ""
    return " ".join(before.split()).removeprefix(THOUGHT).strip()


def parse_action(response: str) -> str | None:
    """The action's command, stripped; None where there is none or it is empty.

    The first line that begins with `Action:` counts; where no line does, the first `Action:`
    within one.
    """
    match = _action(response)
    return match[1].strip() or None if match else None


def _action(response: str) -> re.Match[str] | None:
    return _AT_LINE_START.search(response) or _ANYWHERE.search(response)
