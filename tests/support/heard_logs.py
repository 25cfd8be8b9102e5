"""Logs with other than one message between two turns, and runs of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from w2stree import Trajectory
from w2stree.formats import messages
from w2stree.formats.reader import Reader

ASKED = {"role": "user", "content": "Book it"}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def told(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": text}


def calling(*names: str) -> dict[str, Any]:
    calls = [
        {"id": f"call{i:05}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for i, name in enumerate(names, 1)
    ]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def answer(text: str, to: int, name: str) -> dict[str, Any]:
    return {"role": "tool", "content": text, "tool_call_id": f"call{to:05}", "name": name}


PARALLEL = [
    *(ASKED, calling("search", "weather")),
    *(answer("SK 100\nAF 80", 1, "search"), answer("sunny", 2, "weather")),
]
ONE_OF_TWO = [ASKED, calling("search", "weather"), answer("SK 100", 1, "search")]
USER_AFTER_TOOL = [ASKED, calling("search"), answer("ok", 1, "search"), told("also luggage")]
USER_FOR_TOOL = [ASKED, calling("search"), told("Stop")]
NOTHING_BETWEEN = [ASKED, said("Let me think."), calling("search"), answer("ok", 1, "search")]
WORDS_ALONE = [ASKED, said("Let me think."), said("I look."), told("fine")]
SYSTEM_BETWEEN = [ASKED, said("x"), told("Be nice", "system"), told("go")]
TWO_OF_THE_USER = [ASKED, said("x"), told("a.py"), told("(2 turns left)")]
LOGS = {
    name: given
    for name, given in globals().items()
    if name.isupper() and isinstance(given, list) and given
}


def read(given: list[dict[str, Any]], reward: float = 1.0) -> Trajectory:
    record = {"messages": given, "reward": reward, "task_id": "t"}
    (run,) = messages.runs(record, "here", Reader())
    return replace(run, info={k: v for k, v in run.info.items() if k != "messages"})
