"""A run as chat messages, in the words of OpenAI's API.

    message   0      1     2        3       4        5
              system user  turn 1   answer  turn 2   answer
              └ prompt ──┘ └────────── steps ───────────────┘

    Step, in words         {"role": "assistant", "content": response}
                           {"role": "user", "content": observation}
    Step, of tool calls    {"role": "assistant", "content": response, "tool_calls": […]}
                           {"role": "tool", "content": observation, "tool_call_id": …, "name": …}

Of several calls in one turn all answers are one message, as they were one observation. Arguments
are JSON text: tables of rows fill the keys that another row's object has with nulls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from w2stree.rows.worded import require_prompt
from w2stree.trajectories.trajectory import Step, Trajectory

Record = dict[str, Any]


class Passage(NamedTuple):
    """Messages [begin, end) of a run's chat."""

    run: Trajectory
    begin: int
    end: int


class Passages(NamedTuple):
    """A passage a row, as columns."""

    runs: list[Trajectory]
    begins: list[int]
    ends: list[int]

    def select(self, rows: Sequence[int]) -> Passages:
        """Those of these rows."""
        begins, ends = ([column[i] for i in rows] for column in (self.begins, self.ends))
        return Passages([self.runs[i] for i in rows], begins, ends)


def history(run: Trajectory, depth: int) -> Passage:
    """The prompt and `depth` steps. Raises `InvalidInput` for a run without a prompt."""
    require_prompt(run)
    return Passage(run, 0, len(run.prompt) + 2 * depth)


def turns(run: Trajectory, begin: int, end: int | None = None) -> Passage:
    """Turns [begin, end), None: up to the last, and the answers between them."""
    first = len(run.prompt)
    end = len(run.steps) if end is None else end
    return Passage(run, first + 2 * begin, first + 2 * end - 1)


def chat_of(run: Trajectory) -> list[Record]:
    """All messages of a run."""
    found = [{"role": m.role, "content": whole(m.content)} for m in run.prompt]
    for step in run.steps:
        if step.tool_calls:
            found += (calls_of(step), answer_to_calls(step))
        else:
            found += (
                {"role": "assistant", "content": whole(step.response)},
                {"role": "user", "content": whole(step.observation)},
            )
    return found


def contents_of(run: Trajectory) -> list[str]:
    """What each message of a run says, as it stands."""
    texts = [message.content for message in run.prompt]
    for step in run.steps:
        texts += (step.response, step.observation)
    return texts


def roles_of(run: Trajectory, *, has_tool_calls: bool) -> list[str]:
    """Who says each message of a run. `has_tool_calls`: whether it may have any."""
    roles = [message.role for message in run.prompt]
    if not has_tool_calls:
        return roles + ["assistant", "user"] * len(run.steps)
    for step in run.steps:
        roles += ("assistant", "tool" if step.tool_calls else "user")
    return roles


def whole(text: str) -> str:
    """Halves of surrogate pairs, which neither Arrow nor UTF-8 has, replaced as for a tokenizer."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


_HALVES = re.compile("[\ud800-\udfff]")


def calls_of(step: Step) -> Record:
    """The message of a turn of tool calls."""
    return {
        "role": "assistant",
        "content": whole(step.response),
        "tool_calls": [
            {
                "id": whole(call.id or ""),
                "type": "function",
                "function": {"name": whole(call.name), "arguments": call.arguments},
            }
            for call in step.tool_calls
        ],
    }


def answer_to_calls(step: Step) -> Record:
    """What came back to it."""
    last = step.tool_calls[-1]
    return {
        "role": "tool",
        "content": whole(step.observation),
        "tool_call_id": whole(last.id or ""),
        "name": whole(last.name),
    }
