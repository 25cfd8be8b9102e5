"""A corridor with pits: whoever jumps into one never gets out, and nothing says so.

[0] ─ east ─ [1] ─ east ─ [2] ─ … ─ [5] out, 1.0        wait: nothing; jump: lost, 0.0
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

LENGTH = 5
MAX_STEPS = 12


def pits(seed: int) -> Generator[tuple[str, float, list[str]], str, Any]:
    room, is_lost, answer = 0, False, f"Corridor {seed}. You are in room 0."
    while True:
        action = yield answer, 0.0, ["east", "jump", "wait"]
        is_lost = is_lost or action == "jump"
        room += action == "east"
        if room == LENGTH and not is_lost:
            return "You are out.", 1.0
        answer = f"It is dark. Steps: {room}." if is_lost else f"You are in room {room}."


def walks_out(seed: int) -> list[str]:
    return ["east"] * LENGTH
