"""SWE-agent's `.traj` files.

    cup-1/cup-1.traj
        {"history": [{"role": "system", "content": "…", "agent": "main"},
                     {"role": "user", "content": "…", "is_demo": true},       ┐ prompt
                     {"role": "user", "content": "We have an issue: …"},      ┘
                     {"role": "assistant", "content": "…", "thought": "…", "action": "ls",
                      "tool_calls": [{"id": "c1", "type": "function", "function": {…}}]},
                     {"role": "tool", "content": "OBSERVATION:\\n…", "tool_call_ids": ["c1"]}, …],
         "trajectory": [{"response": "…", "thought": "…", "action": "ls", "observation": "…",
                         "state": {…}, "query": [what was read], …}, …],
         "info": {"exit_status": "submitted", "submission": "diff …", "model_stats": {…}},
         "environment": "main", "replay_config": "…"}

`history` is what the model has said and read, so it gives the steps; what was said, refused and
said again is in `trajectory` alone. Source: github.com/SWE-agent/SWE-agent at 3ea751c (1.1.0),
`sweagent/types.py` and `sweagent/agent/agents.py`; and its files of 0.6, 0.7 and 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats import swe_bench_report
from w2stree.formats.conversation import Conversation, Said, read_conversation, run_of
from w2stree.formats.file_name import name_of_file
from w2stree.formats.format import Format, Located
from w2stree.formats.messages import UNREAD, said_of
from w2stree.formats.reader import Reader, Record, at, beside
from w2stree.trajectories import fields
from w2stree.trajectories.origin import UNKNOWN, Origin
from w2stree.trajectories.trajectory import Status, Trajectory

_REPORT = swe_bench_report.NAME
_REWARDS = ("reward", "info.reward", "resolved", "info.resolved", f"{_REPORT}.resolved")
_TASKS = ("instance_id", "info.instance_id")
_SUFFIXES = (".traj", ".json")
_READ = ("trajectory", "history", "info", "attempts", "replay_config")
_ITS_OWN_WORDS = ("Exit due to ", "Exiting due to forfeit")
_FAILURES = ("exit_api", "exit_environment", "exit_environment_error", "exit_error")
_EXIT = re.compile(r"exit_\w+")
_AGENTS_OWN = ("exit_command", "exit_forfeit")


def recognises(record: Any) -> bool:
    if not isinstance(record, Mapping):
        return False
    if isinstance(record.get("attempts"), list | tuple):
        attempts = record["attempts"]
        return "trajectory" in record or (bool(attempts) and all(map(_is_attempt, attempts)))
    return _is_attempt(record)


def gather(records: Iterable[Located]) -> Iterator[Located]:
    """Each record, with what SWE-bench's report in its folder says of its instance."""
    for where, record in records:
        name = name_of_file(where, *_SUFFIXES)
        if isinstance(record, Mapping) and name is not None:
            verdict = swe_bench_report.verdict_on(name, Path(where))
            yield where, record if verdict is None else {**record, _REPORT: verdict}
        else:
            yield where, record


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    attempts = record.get("attempts")
    if not attempts:
        yield _run(record, where, where, reader)
        return
    best = at(record, "info.best_attempt_idx")
    for i, given in enumerate(fields.array(attempts, f"{where}: attempts")):
        here = f"{where}: attempts[{i}]"
        attempt = fields.mapping(given, here)
        if _REPORT in record:  # it is of the patch that was handed in
            other = {"error": "another attempt of it was evaluated"}
            attempt = {**attempt, _REPORT: record[_REPORT] if i == best else other}
        yield _run(attempt, here, where, reader)


def _is_attempt(record: Any) -> bool:
    return (
        isinstance(record, Mapping)
        and isinstance(record.get("trajectory"), list | tuple)
        and ("history" in record or "environment" in record)
        and isinstance(record.get("info"), Mapping | None)
    )


def _run(record: Record, where: str, file: str, reader: Reader) -> Trajectory:
    info = fields.mapping(record.get("info") or {}, f"{where}: info")
    steps = [
        fields.mapping(step, f"{where}: trajectory[{i}]")
        for i, step in enumerate(
            fields.array(record.get("trajectory") or [], f"{where}: trajectory")
        )
    ]
    history = fields.array(record.get("history") or [], f"{where}: history")
    if history:
        conversation, asked_again = _of_history(history, steps, where, reader)
    else:
        conversation, asked_again = _of_steps(steps, where, reader), []
    status, origin = _ending(info, reader)
    evaluation = at(record, f"{_REPORT}.error")
    if status != "error" and evaluation is not None and reader.choices.reward is None:
        reader.note("status", f"error, by {_REPORT}")
        status, origin = "error", Origin(error=str(evaluation))
    reward = reader.reward(record, where, _REWARDS, status=status)
    named = dict(record) | {"the file's name": name_of_file(file, *_SUFFIXES)}
    names = (*_TASKS, "the file's name")
    chosen = record if reader.choices.task is not None else named
    task_id = reader.task_id(chosen, where, names, conversation.prompt)
    kept = beside(record, _READ, {"reward": reward, "instance_id": task_id})
    kept |= {"info": dict(info)} if info else {}
    kept |= {"asked_again": asked_again} if asked_again else {}
    thoughts = {
        str(i): {"thinking_blocks": item["thinking_blocks"]}
        for i, item in enumerate(history)
        if item.get("thinking_blocks")
    }
    kept |= {UNREAD: thoughts} if thoughts else {}
    return run_of(
        conversation,
        where,
        task_id=task_id,
        total_return=reward,
        status=status,
        origin=origin,
        info=kept,
    )


def _of_history(
    history: Sequence[Any], steps: Sequence[Mapping[str, Any]], where: str, reader: Reader
) -> tuple[Conversation, list[dict[str, Any]]]:
    items = [fields.mapping(item, f"{where}: history[{i}]") for i, item in enumerate(history)]
    _refuse_several_agents(items, where)
    begin = next((i for i, item in enumerate(items) if _is_turn(item)), len(items))
    end = next((i for i, item in enumerate(items) if i >= begin and _is_its_own(item)), len(items))
    said = [_said(item, f"{where}: history[{i}]") for i, item in enumerate(items[:end])]
    conversation = read_conversation(said, where, reader, num_prompt=begin)
    turns = [item for item in items[begin:end] if item["role"] == "assistant"]
    return conversation, _asked_again(turns, steps)


def _of_steps(steps: Sequence[Mapping[str, Any]], where: str, reader: Reader) -> Conversation:
    """Of a file whose history was left out: the first query, and what was answered as it was."""
    steps = [step for step in steps if not _is_its_own(step)]
    query = fields.array(steps[0].get("query") or [], f"{where}: query") if steps else ()
    said = [said_of(item, f"{where}: query[{i}]") for i, item in enumerate(query)]
    num_prompt = len(said)
    for i, step in enumerate(steps):
        here = f"{where}: trajectory[{i}]"
        response, action = _text(step, "response", here), _text(step, "action", here)
        said.append(Said("assistant", response, action=action))
        said.append(Said("user", _text(step, "observation", here)))
    return read_conversation(said, where, reader, num_prompt=num_prompt)


def _said(item: Mapping[str, Any], where: str) -> Said:
    said = said_of(item, where)
    if said.role == "assistant" and item.get("action") is not None:
        said = replace(said, action=_text(item, "action", where))
    ids = fields.array(item.get("tool_call_ids") or [], f"{where}: tool_call_ids")
    if said.role != "tool" or len(ids) != 1:
        return said
    return replace(said, answers=fields.text(ids[0], f"{where}: tool_call_ids[0]"))


def _asked_again(
    turns: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What the model said and SWE-agent refused, before which of the turns that it took."""
    steps = [step for step in steps if not _is_its_own(step)]
    if len(steps) <= len(turns):
        return []
    refused, taken = [], 0
    for step in steps:
        if taken < len(turns) and _is_said_in(turns[taken], step):
            taken += 1
        else:
            said = {name: step.get(name) for name in ("response", "action", "observation")}
            refused.append({"before_step": taken + 1} | said)
    return refused


def _is_said_in(turn: Mapping[str, Any], step: Mapping[str, Any]) -> bool:
    """Demonstrations are edited by hand: then the words differ, and not the action."""
    return turn.get("content") == step.get("response") or (
        bool(turn.get("action")) and turn.get("action") == step.get("action")
    )


def _is_turn(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "assistant" and not item.get("is_demo")


def _is_its_own(turn: Mapping[str, Any]) -> bool:
    """Whether SWE-agent said it itself, at a limit or a failure: no model did."""
    thought, action = turn.get("thought"), turn.get("action")
    return (
        isinstance(thought, str)
        and thought.startswith(_ITS_OWN_WORDS)
        and (not action or (isinstance(action, str) and bool(_EXIT.fullmatch(action.strip()))))
    )


def _ending(info: Mapping[str, Any], reader: Reader) -> tuple[Status, Origin]:
    status = info.get("exit_status")
    text = status if isinstance(status, str) else ""
    reason = match[0] if (match := _EXIT.search(text)) else ""
    if not text or "None" in text or text == "early_exit" or reason in _FAILURES:
        reader.note("status", "error, by info.exit_status")
        return "error", Origin(error=text or "info has no exit_status: it did not end")
    if reason and reason not in _AGENTS_OWN:
        reader.note("status", "truncated, by info.exit_status")
        return "truncated", Origin(truncated_by=reason.removeprefix("exit_"))
    reader.note("status", "done, by info.exit_status")
    return "done", UNKNOWN


def _refuse_several_agents(items: Sequence[Mapping[str, Any]], where: str) -> None:
    own = [item for item in items if not item.get("is_demo")]  # demonstrations are of others
    names = {item["agent"] for item in own if isinstance(item.get("agent"), str)}
    if len(names) > 1:
        raise InvalidInput(
            f"{where}: history is of several agents ({', '.join(sorted(names))}); a run is one "
            "agent's: keep the messages of one"
        )


def _text(record: Mapping[str, Any], name: str, where: str) -> str:
    return fields.text(record.get(name), f"{where}: {name}")


FORMAT = Format(
    name="swe_agent",
    title="SWE-agent's .traj files",
    recognises=recognises,
    runs=runs,
    gather=gather,
    suffixes=(".traj",),
    beside=(_REPORT,),
)
