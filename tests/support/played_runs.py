"""Runs of a small game, told once: what the samples of other tools' formats are written from.

task     kitchen 1                         kitchen 2
run      look, take cup   1.0              look, wait, …   0.0, at the step limit
         look, take pan   0.0
"""

from __future__ import annotations

from dataclasses import dataclass, field

INSTRUCTION = "You are in a kitchen. Answer with a thought and an action."


@dataclass(frozen=True)
class Turn:
    thought: str
    action: str
    answer: str

    @property
    def said(self) -> str:
        return f"Thought: {self.thought}\nAction: {self.action}"


@dataclass(frozen=True)
class Played:
    """One run; `is_cut` where the step limit ended it."""

    task_id: str
    task: str
    turns: tuple[Turn, ...]
    score: float
    is_cut: bool = False
    instruction: str = field(default=INSTRUCTION)


LOOK = Turn("I do not know this room.", "look", "You see a cup and a pan.")
CUP = Turn("The cup it is.", "take cup", "You take the cup.")
PAN = Turn("A pan will do.", "take pan", "You take the pan.")
WAIT = Turn("Something may happen.", "wait", "Nothing happens.")

RUNS = (
    Played("kitchen_1", "Take the cup.", (LOOK, CUP), 1.0),
    Played("kitchen_1", "Take the cup.", (LOOK, PAN), 0.0),
    Played("kitchen_2", "Take the lid.", (LOOK, WAIT, WAIT), 0.0, is_cut=True),
)
