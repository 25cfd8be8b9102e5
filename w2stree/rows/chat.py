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
from collections.abc import Iterator
from typing import Any, NamedTuple

from w2stree.rows.worded import require_prompt
from w2stree.trajectories.trajectory import Step, Trajectory

Record = dict[str, Any]


class Passage(NamedTuple):
    """Messages [begin, end) of a run's chat."""

    run: Trajectory
    begin: int
    end: int

    def records(self) -> list[Record]:
        """The messages themselves."""
        return chat_of(self.run)[self.begin : self.end]


def history(run: Trajectory, depth: int) -> Passage:
    """The prompt and `depth` steps. Raises `InvalidInput` for a run without a prompt."""
    require_prompt(run)
    return Passage(run, 0, len(run.prompt) + 2 * depth)


def turns(run: Trajectory, begin: int, end: int | None = None) -> Passage:
    """Turns [begin, end), None: up to the last, and the answers between them."""
    first = len(run.prompt)
    end = len(run.steps) if end is None else end
    return Passage(run, first + 2 * begin, first + 2 * end - 1)


def messages_of(run: Trajectory) -> Iterator[Record]:
    """A run's messages, one by one."""
    for message in run.prompt:
        yield {"role": message.role, "content": whole(message.content)}
    for step in run.steps:
        if step.tool_calls:
            yield _calls(step)
            yield _answer_to_calls(step)
        else:
            yield {"role": "assistant", "content": whole(step.response)}
            yield {"role": "user", "content": whole(step.observation)}


def chat_of(run: Trajectory) -> list[Record]:
    """All messages of a run."""
    return list(messages_of(run))


def whole(text: str) -> str:
    """Halves of surrogate pairs, which neither Arrow nor UTF-8 has, replaced as for a tokenizer."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


_HALVES = re.compile("[\ud800-\udfff]")


def _calls(step: Step) -> Record:
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


def _answer_to_calls(step: Step) -> Record:
    last = step.tool_calls[-1]
    return {
        "role": "tool",
        "content": whole(step.observation),
        "tool_call_id": whole(last.id or ""),
        "name": whole(last.name),
    }
