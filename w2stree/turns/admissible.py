"""Admissible decoding for servers: a turn that ends in one of the environment's actions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from w2stree.errors import ModelFailure
from w2stree.turns.react import ACTION, THOUGHT, render_turn


def structured_output(actions: Sequence[str], *, has_thought: bool) -> dict[str, Any]:
    """vLLM's `structured_outputs` for one turn: a choice, or a regex where a thought comes first.

    Raises `ModelFailure` where there is nothing to choose from.
    """
    if not actions:
        raise ModelFailure("the environment lists no admissible actions: use free decoding")
    if not has_thought:
        return {"choice": [render_turn("", action) for action in actions]}
    anything = "|".join(re.escape(action) for action in actions)
    return {"regex": f"{THOUGHT} [^\\n]+\\n{ACTION} ({anything})"}
