"""ATIF, the Agent Trajectory Interchange Format of Harbor: a document a run, v1.0 to v1.8.

    {"schema_version": "ATIF-v1.8", "session_id": "s1", "agent": {"name": "a", "version": "1"},
     "steps": [
       {"step_id": 1, "source": "user", "message": "What is the weather in Oslo?"},
       {"step_id": 2, "source": "agent", "message": "", "reasoning_content": "…",
        "tool_calls": [{"tool_call_id": "c1", "function_name": "weather",
                        "arguments": {"city": "Oslo"}}],
        "observation": {"results": [{"source_call_id": "c1", "content": "Rain."}]},
        "metrics": {"completion_token_ids": [5, 9], "logprobs": [-0.1, -0.2]}}],
     "extra": {"reward": 1.0, "task_id": "t1"}}

    job/trial/agent/trajectory.json     the run
    job/trial/result.json               its task, its rewards, what ended it: read beside it

Source: the RFC 0001 of Harbor (rfcs/0001-trajectory-format.md) as the models of `harbor` 0.26.0
and of the package `atif` 1.8.0 have it. It has no field for a reward or a task: a Harbor trial has
them beside the run, elsewhere `extra` may.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.call_ids import with_call_ids
from w2stree.formats.content_blocks import text_of
from w2stree.formats.conversation import Conversation, Said, messages_of, read_conversation
from w2stree.formats.format import Format, Located
from w2stree.formats.left_over import FIELD, left_over, restored
from w2stree.formats.placed import placed
from w2stree.formats.reader import Reader, Record
from w2stree.formats.tool_calls import call_of, refuse_broken
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Status, Step, Trajectory

VERSION = "ATIF-v1.8"
TRIAL = "harbor_trial"
"""In a record: what the trial's `result.json` says beside the run."""
UNREAD = "steps"
"""In `info`: by a step's number, from 0, what it has beside what is read."""

_REWARDS = (
    f"{TRIAL}.verifier_result.rewards.reward",
    "extra.reward",
    "extra.total_return",
    "extra.score",
    "final_metrics.extra.reward",
    "final_metrics.extra.score",
)
_TASKS = (f"{TRIAL}.task_name", "extra.task_id", "extra.task_name", "extra.instance_id")
_OF_TRIAL = ("task_name", "trial_name", "agent_info", "verifier_result", "exception_info")
_ROLES = {"system": "system", "user": "user", "agent": "assistant"}
_READ = ("step_id", "source", "message", "tool_calls", "observation", "is_copied_context")
_OF_CALL = ("tool_call_id", "function_name", "arguments")
_OF_RESULT = ("source_call_id", "content")
_KNOWN = re.compile(r"ATIF-v1\.\d+")
_SUBAGENT = re.compile(r"trajectory\.summarization-")  # Terminus 2 writes these beside its runs


def recognises(record: Any) -> bool:
    version = record.get("schema_version") if isinstance(record, Mapping) else None
    return isinstance(version, str) and version.startswith("ATIF-")


def gather(records: Iterable[Located]) -> Iterator[Located]:
    """Each record, with what a Harbor trial's `result.json` says of it."""
    for where, record in records:
        trial = _trial(Path(where)) if isinstance(record, Mapping) else None
        yield where, record if trial is None else {**record, TRIAL: trial}


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    with placed(where):
        extra = _extra(record, where)
        yield restored(_run(record, extra, where, reader), extra.get(FIELD), where, reader)


def record_of(trajectory: Trajectory) -> Record:
    """A document of v1.8, with the reward and the task in `extra`."""
    info = trajectory.info
    given = info.get(UNREAD)
    beside = given if isinstance(given, Mapping) else {}
    kept = {k: v for k, v in info.items() if k in _ROOT} if _is_agent(info.get("agent")) else {}
    extra = kept.pop("extra", None)
    record: dict[str, Any] = {
        "schema_version": VERSION,
        "agent": {"name": trajectory.origin.policy or "unknown", "version": "unknown"},
        **kept,
        "steps": _steps(trajectory, beside),
        "extra": {
            **(extra if isinstance(extra, Mapping) else {}),
            "task_id": trajectory.task_id,
            "reward": trajectory.total_return,
        },
    }
    record["extra"].pop(FIELD, None)
    (read,) = runs(record, f"task {trajectory.task_id!r}", Reader())
    left = left_over(trajectory, read)
    if left is not None:
        record["extra"][FIELD] = left
    return record


_ROOT = (
    *("session_id", "trajectory_id", "agent", "notes", "final_metrics", "extra"),
    "subagent_trajectories",
)


def _is_agent(given: Any) -> bool:
    """Whether it is one of ATIF's, and what else is in `info` came with it."""
    return isinstance(given, Mapping) and all(
        isinstance(given.get(name), str) for name in ("name", "version")
    )


def _run(record: Record, extra: Record, where: str, reader: Reader) -> Trajectory:
    _refuse_parts(record, where)
    given = fields.array(record.get("steps"), f"{where}: steps")
    steps = [fields.mapping(step, f"{where}: steps[{i}]") for i, step in enumerate(given)]
    said = [said for i, step in enumerate(steps) for said in _said(step, f"{where}: steps[{i}]")]
    conversation = _with_tokens(read_conversation(said, where, reader), steps, where)
    status, origin = _ending(record, extra, where, reader)
    return Trajectory(
        reader.task_id(record, where, _TASKS, conversation.prompt),
        conversation.prompt,
        conversation.steps,
        reader.reward(record, where, _REWARDS, status=status),
        status,
        replace(origin, prefix_length=_num_copied(steps, len(conversation.steps), where)),
        conversation.with_heard(_info(record, extra, steps), where),
    )


def _refuse_parts(record: Record, where: str) -> None:
    version = record.get("schema_version")
    if not (isinstance(version, str) and _KNOWN.fullmatch(version)):
        raise InvalidInput(
            f"{where}: schema_version is {fields.shown(version)}; ATIF-v1.0 to {VERSION} are read"
        )
    if record.get("continued_trajectory_ref") is not None:
        raise InvalidInput(
            f"{where}: goes on in {fields.shown(record['continued_trajectory_ref'])}, so its end "
            "is not here: read the last file of the run, which begins with what came before"
        )
    trial = record.get(TRIAL)
    if isinstance(trial, Mapping) and trial.get("unreadable"):
        raise InvalidInput(f"{where}: its trial cannot be read: {trial['unreadable']}")
    if isinstance(trial, Mapping) and trial.get("is_subagent"):
        raise InvalidInput(
            f"{where}: the log of an agent that summarised for the run beside it, and no run of "
            "the task: leave it out (on_error=skip)"
        )


def _said(step: Record, where: str) -> Iterator[Said]:
    source = step.get("source")
    if not isinstance(source, str) or source not in _ROLES:
        raise InvalidInput(f"{where}: source is {fields.shown(source)}; use {', '.join(_ROLES)}")
    text = text_of(step.get("message"), f"{where}: message")
    yield Said(_ROLES[source], text, _calls(step, where))
    told = step.get("observation")
    if told is None:
        return
    given = fields.mapping(told, f"{where}: observation").get("results")
    for i, result in enumerate(fields.array(given, f"{where}: observation.results")):
        yield _answer(result, f"{where}: observation.results[{i}]", is_turn=source == "agent")


def _calls(step: Record, where: str) -> tuple[ToolCall, ...]:
    given = step.get("tool_calls")
    if given is None:
        return ()
    calls = fields.array(given, f"{where}: tool_calls")
    return tuple(_call(call, f"{where}: tool_calls[{i}]") for i, call in enumerate(calls))


def _call(given: Any, where: str) -> ToolCall:
    call = fields.mapping(given, where)
    arguments = fields.mapping(call.get("arguments"), f"{where}.arguments")
    return call_of(
        {
            "name": call.get("function_name"),
            "arguments": arguments,
            "id": call.get("tool_call_id"),
        },
        where,
    )


def _answer(given: Any, where: str, *, is_turn: bool) -> Said:
    """A call's result, or what the world did beside: that of an event of the system too."""
    result = fields.mapping(given, where)
    text = text_of(result.get("content"), f"{where}.content")
    source = result.get("source_call_id")
    if source is None or not is_turn:
        return Said("user" if is_turn else "system", text)
    return Said("tool", text, answers=fields.text(source, f"{where}.source_call_id"))


def _with_tokens(conversation: Conversation, steps: Sequence[Record], where: str) -> Conversation:
    """The sampled ids and their log-probabilities, where one call of the model made the turn."""
    turns = [(i, step) for i, step in enumerate(steps) if step["source"] == "agent"]
    made = []
    first = len(turns) - len(conversation.steps)
    for read, (i, step) in zip(conversation.steps, turns[first:], strict=True):
        metrics = step.get("metrics")
        if metrics is None or step.get("llm_call_count") not in (None, 1):
            made.append(read)
            continue
        place = f"{where}: steps[{i}]: metrics"
        made.append(_tokens(read, fields.mapping(metrics, place), place))
    return replace(conversation, steps=tuple(made))


def _tokens(step: Step, metrics: Record, where: str) -> Step:
    try:
        return replace(
            step, token_ids=metrics.get("completion_token_ids"), logprobs=metrics.get("logprobs")
        )
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def _num_copied(steps: Sequence[Record], num_read: int, where: str) -> int:
    """How many of the run's first turns are another one's, from which it went on."""
    copied = [step.get("is_copied_context") is True for step in steps if step["source"] == "agent"]
    num = copied.index(False) if False in copied else len(copied)
    if any(copied[num:]):
        raise InvalidInput(
            f"{where}: turns copied from another run (is_copied_context) follow its own; only a "
            "run that begins with them can be read"
        )
    return max(0, num - (len(copied) - num_read))


def _extra(record: Record, where: str) -> Record:
    extra = record.get("extra")
    return {} if extra is None else fields.mapping(extra, f"{where}: extra")


def _ending(record: Record, extra: Record, where: str, reader: Reader) -> tuple[Status, Origin]:
    """As a trial's exception says, else as `extra` does. A trial that was cut short and judged all
    the same, as by a time limit, is truncated; one without a valid reward says nothing."""
    trial = record.get(TRIAL)
    failed = _at(trial, "exception_info")
    if not isinstance(trial, Mapping) or not isinstance(failed, Mapping):
        return reader.ending(extra, where)
    what = str(failed.get("exception_type"))
    has_reward = bool(_at(trial, "verifier_result", "rewards")) and trial.get("reward_valid", True)
    reader.note("status", f"the trial's exception {what}")
    if has_reward:
        return "truncated", Origin(truncated_by=what)
    return "error", Origin(error=what)


def _info(record: Record, extra: Record, steps: Sequence[Record]) -> dict[str, Any]:
    rest = {str(i): kept for i, step in enumerate(steps) if (kept := _unread(step))}
    own = {k: v for k, v in record.items() if k not in ("schema_version", "steps", "extra")}
    of_extra = {k: v for k, v in extra.items() if k != FIELD}
    return {
        **own,
        **({"extra": of_extra} if of_extra else {}),
        **({UNREAD: rest} if rest else {}),
    }


def _unread(step: Record) -> dict[str, Any]:
    kept = {k: v for k, v in step.items() if k not in _READ and v is not None}
    if isinstance(kept.get("metrics"), Mapping):
        kept["metrics"] = {
            k: v
            for k, v in kept["metrics"].items()
            if k not in ("completion_token_ids", "logprobs")
            or step.get("llm_call_count") not in (None, 1)
        }
        if not kept["metrics"]:
            del kept["metrics"]
    for name, listed, known in (
        ("tool_calls", step.get("tool_calls"), _OF_CALL),
        ("results", _at(step, "observation", "results"), _OF_RESULT),
    ):
        beside = {
            str(i): rest
            for i, one in enumerate(listed or ())
            if (rest := {k: v for k, v in one.items() if k not in known and v is not None})
        }
        if beside:
            kept[name] = beside
    return kept


def _steps(trajectory: Trajectory, beside: Mapping[str, Any]) -> list[Record]:
    """A step for each message; what answers a turn is its observation."""
    refuse_broken(trajectory, "ATIF")
    made: list[dict[str, Any]] = []
    num_turns = 0
    for i, said in enumerate(with_call_ids(messages_of(trajectory))):
        if num_turns and said.role != "assistant":
            source = {} if said.answers is None else {"source_call_id": said.answers}
            results = made[-1].setdefault("observation", {"results": []})["results"]
            results.append({**source, "content": said.text})
            continue
        source_name = "agent" if said.role == "assistant" else said.role
        step = {"step_id": len(made) + 1, "source": source_name, "message": said.text}
        if source_name == "agent" and i >= len(trajectory.prompt):
            step |= _turn(said, trajectory.steps[num_turns])
            if num_turns < trajectory.origin.prefix_length:
                step["is_copied_context"] = True
            num_turns += 1
        made.append(step)
    return [_with_unread(step, beside.get(str(n))) for n, step in enumerate(made)]


def _turn(said: Said, step: Step) -> dict[str, Any]:
    turn: dict[str, Any] = {}
    if said.calls:
        turn["tool_calls"] = [
            {"tool_call_id": c.id, "function_name": c.name, "arguments": c.parsed_arguments()}
            for c in said.calls
        ]
    metrics: dict[str, Any] = {}
    if step.token_ids is not None:
        metrics["completion_token_ids"] = list(step.token_ids)
    if step.logprobs is not None:
        metrics["logprobs"] = list(step.logprobs)
    return turn | ({"metrics": metrics} if metrics else {})


def _with_unread(step: dict[str, Any], rest: Any) -> dict[str, Any]:
    """What was read beside it, where it still fits: extra fields of calls stand by number."""
    if not isinstance(rest, Mapping) or step["source"] != "agent":
        return step
    made = {**{k: v for k, v in rest.items() if k not in (*_READ, "results")}, **step}
    if isinstance(rest.get("metrics"), Mapping):
        made["metrics"] = {**rest["metrics"], **step.get("metrics", {})}
    for listed, name in (
        (made.get("tool_calls"), "tool_calls"),
        (_at(made, "observation", "results"), "results"),
    ):
        given = rest.get(name)
        for i, one in enumerate(listed or ()):
            more = given.get(str(i)) if isinstance(given, Mapping) else None
            one.update(more if isinstance(more, Mapping) else {})
    return made


def _at(record: Any, *names: str) -> Any:
    for name in names:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def _trial(file: Path) -> Record | None:
    """Of the trial whose `agent` folder the file lies in; None elsewhere."""
    result = file.parent.parent / "result.json"
    if file.parent.name != "agent" or not result.is_file():
        return None
    try:
        given = parse_json(result.read_bytes(), str(result))
    except InvalidInput as error:  # of the run beside it, and told where that is read
        return {"unreadable": str(error)}
    if not isinstance(given, Mapping) or "trial_name" not in given:
        return None
    said = {name: given[name] for name in _OF_TRIAL if given.get(name) is not None}
    if given.get("reward_valid") is False:
        said["reward_valid"] = False
    return said | ({"is_subagent": True} if _SUBAGENT.match(file.name) else {})


FORMAT = Format(
    name="atif",
    title="ATIF (Harbor)",
    recognises=recognises,
    gather=gather,
    beside=("result.json",),
    runs=runs,
    record_of=record_of,
)
