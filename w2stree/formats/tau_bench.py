"""Results of tau-bench: an agent, a simulated user, and the tools of a shop or an airline.

    [{"task_id": 3, "trial": 0, "reward": 1.0,
      "info": {"task": {…}, "source": "user", "reward_info": {…}},      null: nothing was rewarded
      "traj": [{"role": "system", "content": "# Retail agent policy …"},       ┐ prompt
               {"role": "user", "content": "Cancel my order, please."},        ┘
               {"role": "assistant", "content": null, "tool_calls": [{…}]},
               {"role": "tool", "tool_call_id": "c1", "name": "cancel", "content": "{…}"},
               {"role": "assistant", "content": "It is cancelled."},
               {"role": "user", "content": "###STOP###"}]}, …]

Source: github.com/sierra-research/tau-bench at 59a200c, `tau_bench/types.py` (`EnvRunResult`),
`tau_bench/run.py` (errors) and `tau_bench/agents` (messages, and how words are read as a tool).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from w2stree.formats.conversation import Conversation, Said, read_conversation, run_of
from w2stree.formats.format import Format
from w2stree.formats.messages import UNREAD, said_of, unread
from w2stree.formats.reader import Reader, Record, beside
from w2stree.trajectories import fields
from w2stree.trajectories.origin import UNKNOWN, Origin
from w2stree.trajectories.trajectory import Status, Trajectory
from w2stree.turns.react import ACTION


def recognises(record: Any) -> bool:
    return (
        isinstance(record, Mapping)
        and isinstance(record.get("traj"), list | tuple)
        and {"task_id", "reward"} <= record.keys()
    )


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    given = fields.array(record.get("traj"), f"{where}: traj")
    info = fields.mapping(record.get("info") or {}, f"{where}: info")
    status, origin = _ending(info, reader)
    said = [said_of(message, f"{where}: traj[{i}]") for i, message in enumerate(given)]
    conversation = Conversation((), ())
    if said or status != "error":  # of an error tau-bench keeps no messages
        conversation = read_conversation(_with_actions(said), where, reader)
    reward = reader.reward(record, where, ("reward",), status=status)
    task_id = reader.task_id(record, where, ("task_id",), conversation.prompt)
    rest = {str(i): more for i, message in enumerate(given) if (more := _unread(message))}
    kept = beside(record, ("traj", "task_id"), {"reward": reward})
    yield run_of(
        conversation,
        where,
        task_id=task_id,
        total_return=reward,
        status=status,
        origin=origin,
        info=kept | ({UNREAD: rest} if rest else {}),
    )


def _ending(info: Mapping[str, Any], reader: Reader) -> tuple[Status, Origin]:
    if (error := info.get("error")) is not None:
        reader.note("status", "error, by info.error")
        return "error", Origin(error=str(error))
    if info.get("reward_info") is None:
        reader.note("status", "truncated, for nothing was rewarded (info.reward_info)")
        return "truncated", UNKNOWN
    reader.note("status", "done, by info.reward_info")
    return "done", UNKNOWN


def _with_actions(said: Sequence[Said]) -> list[Said]:
    """A reply is an action, all of its words; but where the agent names its tools in words, what
    stands after the last `Action:`, which tau-bench takes for a reply where it is no JSON."""
    turns = [message for message in said if message.role == "assistant"]
    in_words = all(ACTION in turn.text and not turn.calls for turn in turns)
    return [
        replace(m, action=m.text.split(ACTION)[-1].strip() if in_words else m.text)
        if m.role == "assistant" and not m.calls
        else m
        for m in said
    ]


def _unread(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without a tool's name, which the call has that it answers."""
    return {k: v for k, v in unread(message).items() if k != "name" or message["role"] != "tool"}


FORMAT = Format(name="tau_bench", title="tau-bench's results", recognises=recognises, runs=runs)
