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


def parse_action(response: str) -> str | None:
    """The action's command, stripped; None where there is none or it is empty.

    The first line that begins with `Action:` counts; where no line does, the first `Action:`
    within one.
    """
    match = _AT_LINE_START.search(response) or _ANYWHERE.search(response)
    return match[1].strip() or None if match else None
