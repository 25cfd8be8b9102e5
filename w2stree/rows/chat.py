"""A run as chat messages, in the words of OpenAI's API.

    message   0      1     2        3       4        5
              system user  turn 1   answer  turn 2   answer
              └ prompt ──┘ └────────── steps ───────────────┘

    Step, in words         {"role": "assistant", "content": response}
                           {"role": "user", "content": observation}
    Step, of tool calls    {"role": "assistant", "content": response, "tool_calls": […]}
                           {"role": "tool", "content": result, "tool_call_id": …, "name": …}
                           … for each call, in their order; then what others said

A turn is one message, and its answers are as many as were given (`trajectories.answers`), none
where two turns followed each other. Arguments are JSON text: tables of rows fill the keys that
another row's object has with nulls.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from w2stree.rows.worded import require_prompt
from w2stree.trajectories.answers import HEARD, answers_to, is_plain, with_answers
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


def places(run: Trajectory) -> Sequence[int]:
    """The numbers of the messages that are turns; last the number of all messages. O(steps)."""
    first, num_steps = len(run.prompt), len(run.steps)
    if _is_plain(run):
        return range(first, first + 2 * num_steps + 1, 2)
    lengths = (1 + len(answers_to(step)) for step in with_answers(run))
    return list(accumulate(lengths, initial=first))


def steps_in(run: Trajectory, begin: int, end: int) -> range:
    """The steps whose turns are among the messages [begin, end)."""
    at = places(run)
    return range(bisect_left(at, begin), bisect_left(at, end, hi=len(run.steps)))


def history(run: Trajectory, depth: int) -> Passage:
    """The prompt and `depth` steps. Raises `InvalidInput` for a run without a prompt."""
    require_prompt(run)
    return Passage(run, 0, places(run)[depth])


def turns(run: Trajectory, begin: int, end: int | None = None) -> Passage:
    """Turns [begin, end), None: up to the last, and the answers between them."""
    at = places(run)
    end = len(run.steps) if end is None else end
    return Passage(run, at[begin], at[end - 1] + 1 if end > begin else at[begin])


def all_turns(run: Trajectory) -> Passage:
    """All up to the last turn: what was said after it is read by nobody. Raises as `history`."""
    require_prompt(run)
    return turns(run, 0)._replace(begin=0)


def chat_of(run: Trajectory) -> list[Record]:
    """All messages of a run."""
    found = [{"role": m.role, "content": whole(m.content)} for m in run.prompt]
    for step in with_answers(run):
        found += messages_of(step)
    return found


def messages_of(step: Step) -> list[Record]:
    """A turn, and what was said to it."""
    turn = {"role": "assistant", "content": whole(step.response)}
    return [calls_of(step) if step.tool_calls else turn, *answers_of(step)]


def contents_of(run: Trajectory) -> list[str]:
    """What each message of a run says, as it stands."""
    texts = [message.content for message in run.prompt]
    if _is_plain(run):
        for step in run.steps:
            texts += (step.response, step.observation)
        return texts
    for step in with_answers(run):
        texts += (step.response, *(answer.text for answer in answers_to(step)))
    return texts


def roles_of(run: Trajectory) -> list[str]:
    """Who says each message of a run."""
    roles = [message.role for message in run.prompt]
    if HEARD not in run.info and not any(step.tool_calls for step in run.steps):
        return roles + ["assistant", "user"] * len(run.steps)
    for step in with_answers(run):
        roles += ("assistant", *(answer.role for answer in answers_to(step)))
    return roles


def _is_plain(run: Trajectory) -> bool:
    """Whether each turn has one answer: all that it was told."""
    return HEARD not in run.info and all(is_plain(s) for s in run.steps if s.tool_calls)


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
                "id": _id(step, i),
                "type": "function",
                "function": {"name": whole(call.name), "arguments": whole(call.arguments)},
            }
            for i, call in enumerate(step.tool_calls)
        ],
    }


def answers_of(step: Step) -> list[Record]:
    """The messages of what was said to a turn."""
    return [
        {"role": role, "content": whole(text)} | ({} if call is None else _answered(step, call))
        for role, text, call in answers_to(step)
    ]


def _answered(step: Step, number: int) -> Record:
    """Which call an answer is to."""
    return {"tool_call_id": _id(step, number), "name": whole(step.tool_calls[number].name)}


def _id(step: Step, number: int) -> str:
    """A call's id; of several without one the number, so that answers say which is theirs."""
    made = f"call_{number}" if len(step.tool_calls) > 1 else ""
    return whole(step.tool_calls[number].id or made)
