"""What `vf-eval` of verifiers saves: `results.jsonl`, a rollout a line; and, since its version 1,
`traces.jsonl`, an episode a line with the traces of its agents.

    {"example_id": 3, "task": "wordle", "prompt": [{"role": "user", "content": "Guess."}],
     "completion": [{"role": "assistant", "content": "", "tool_calls": ["{\\"id\\": \\"c1\\", …}"]},
                    {"role": "tool", "tool_call_id": "c1", "content": "GY..G"}, …],
     "reward": 1.0, "metrics": {…}, "info": {…}, "error": null, "is_truncated": false,
     "stop_condition": "max_turns_reached", …}

    {"id": "e1", "env": {"id": "wordle"}, "task": {"type": "T", "data": {"idx": 3}, "key": "3f…"},
     "traces": [{"nodes": [{"parent": null, "message": {"role": "user", …}},
                           {"parent": 0, "sampled": true, "message": {"role": "assistant", …},
                            "token_ids": [1, 2, 7], "mask": [false, false, true], …}],
                 "rewards": {"solved": {"score": 1.0, "weight": 1.0}}, "errors": [], …}]}

    nodes   0 ─ 1 ─ 2 ─ 3        the run: the branch of the last leaf, as verifiers has it
                └── 4 ─ 5        a branch before it stays in `info`

Source: `verifiers` 0.1.14 (utils/save_utils.py, types.py) for results, 0.4.0 (v1/trace.py,
v1/graph.py, v1/episode.py) for traces, which prime-rl writes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.call_ids import with_call_ids
from w2stree.formats.conversation import Said, messages_of, read_conversation
from w2stree.formats.format import Format
from w2stree.formats.left_over import FIELD, of_info, restored, with_left_over
from w2stree.formats.messages import said_of, unread
from w2stree.formats.placed import placed
from w2stree.formats.reader import Reader, Record, at
from w2stree.formats.tool_calls import call_of
from w2stree.shorten import shorten, visible
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import UNKNOWN, Origin
from w2stree.trajectories.trajectory import Status, Step, Trajectory

UNREAD = "messages"
"""In `info`: by a message's number, from 0, what it has beside what is read."""
BRANCHES = "other_branches"
"""In `info`: the nodes of a trace that are not on its last branch, by number."""

_TASKS = ("example_id", "task_id", "id")
_REWARDS = ("reward",)
_LIMITS = ("max_turns", "max_turns_reached", "max_input_tokens", "max_output_tokens")
_TURN_LIMITS = ("max_turns", "max_turns_reached")
_SHOWN_COLUMNS = 100


def recognises(record: Any) -> bool:
    if not isinstance(record, Mapping):
        return False
    if _is_list(record.get("traces")):
        return "task" in record and all(isinstance(t, Mapping) for t in record["traces"])
    if not {"prompt", "completion"} <= set(record):
        return False
    completion = record["completion"]
    has_turns = completion is None or _is_list(completion)
    return (has_turns or isinstance(completion, str)) and bool(
        {"reward", "example_id"} & set(record)
    )


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    with placed(where):
        if "traces" in record:
            yield from _episode(record, where, reader)
        else:
            read = _rollout(record, where, reader)
            yield restored(read, record.get(FIELD), where, reader)


def record_of(trajectory: Trajectory) -> Record:
    """A line of `results.jsonl`."""
    beside = trajectory.info.get(UNREAD)
    said = with_call_ids(messages_of(trajectory))
    messages = [_message(m) | _of_number(beside, i) for i, m in enumerate(said)]
    num_prompt = len(trajectory.prompt)
    status = trajectory.status
    record = {
        "example_id": trajectory.task_id,
        "metrics": {},
        "timing": {},
        "is_completed": status != "error",
        "is_truncated": status == "truncated",
        **of_info(trajectory),
        "prompt": messages[:num_prompt],
        "completion": messages[num_prompt:],
        "reward": trajectory.total_return,
    }
    if status == "error" and not record.get("error"):
        record["error"] = {"error": trajectory.origin.error or "unknown"}
    return with_left_over(record, trajectory, runs)


def _rollout(record: Record, where: str, reader: Reader) -> Trajectory:
    prompt = _messages(record.get("prompt"), f"{where}: prompt", role="user")
    completion = _messages(record.get("completion"), f"{where}: completion", role="assistant")
    said = [s for _, s in (*prompt, *completion)]
    conversation = read_conversation(said, where, reader, num_prompt=len(prompt))
    messages = [message for message, _ in (*prompt, *completion)]
    beside = {str(i): rest for i, message in enumerate(messages) if (rest := unread(message))}
    status, origin = _ending(record, where, reader)
    info = {k: v for k, v in record.items() if k not in ("prompt", "completion", FIELD)}
    return Trajectory(
        _task_id(record, where, reader, conversation.prompt),
        conversation.prompt,
        conversation.steps,
        reader.reward(record, where, _REWARDS, status=status),
        status,
        origin,
        conversation.with_heard(info | ({UNREAD: beside} if beside else {}), where),
    )


def _messages(given: Any, where: str, *, role: str) -> list[tuple[Record, Said]]:
    """Of a chat; a text is what the one `role` said, and None nothing."""
    if given is None:
        return []
    if isinstance(given, str):
        given = [{"role": role, "content": given}]
    listed = fields.array(given, where)
    return [(m, _said(m, f"{where}[{i}]", of_text=role)) for i, m in enumerate(listed)]


def _said(message: Any, where: str, *, of_text: str = "text") -> Said:
    """As in chat messages, but that each call may be a JSON text, and its function flat; and that a
    completion without a chat is a message of the role `text`, said by whom `of_text` names."""
    given = fields.mapping(message, where)
    if given.get("role") == "text":
        given = {**given, "role": of_text}
    calls = given.get("tool_calls")
    if calls is None:
        return said_of(given, where)
    listed = fields.array(calls, f"{where}: tool_calls")
    read = []
    for i, call in enumerate(listed):
        place = f"{where}: tool_calls[{i}]"
        read.append(call_of(parse_json(call, place) if isinstance(call, str) else call, place))
    said = said_of({k: v for k, v in given.items() if k != "tool_calls"}, where)
    return replace(said, calls=tuple(read))


def _ending(record: Record, where: str, reader: Reader) -> tuple[Status, Origin]:
    """An error says nothing of the task; a limit of turns or tokens cut the run short."""
    status, origin = reader.ending(record, where)
    if status != "done":
        return status, origin
    stop = record.get("stop_condition")
    if record.get("is_truncated") is True or (isinstance(stop, str) and stop in _LIMITS):
        reader.note("status", "truncated, by is_truncated or stop_condition")
        cut_by = visible(stop) if isinstance(stop, str) and stop not in _TURN_LIMITS else None
        return "truncated", Origin(truncated_by=cut_by)
    return status, origin


def _task_id(record: Record, where: str, reader: Reader, opening: Any) -> str:
    """The number of the example, and the environment it is one of where the record says it."""
    task_id = reader.task_id(record, where, _TASKS, opening)
    env = record.get("task")
    is_number = isinstance(record.get("example_id"), int)
    if reader.choices.task is None and is_number and isinstance(env, str) and env:
        return f"{env}/{task_id}"
    return task_id


def _episode(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    """A run for each trace of an agent that is trained; judges and users stay out."""
    traces = fields.array(record["traces"], f"{where}: traces")
    for i, given in enumerate(traces):
        place = f"{where}: traces[{i}]"
        trace = fields.mapping(given, place)
        if at(trace, "agent.trainable") is False:
            reader.note("left out", "traces of agents that are not trained")
            continue
        yield _trace({"env": record.get("env"), "task": record.get("task"), **trace}, place, reader)


def _trace(trace: Record, where: str, reader: Reader) -> Trajectory:
    nodes = [
        fields.mapping(node, f"{where}: nodes[{i}]")
        for i, node in enumerate(fields.array(trace.get("nodes"), f"{where}: nodes"))
    ]
    branch = _last_branch(nodes, where)
    said = [_said(nodes[n].get("message"), f"{where}: nodes[{n}].message") for n in branch]
    num_prompt = _num_unsampled([nodes[n] for n in branch])
    conversation = read_conversation(said, where, reader, num_prompt=num_prompt)
    turns = [n for n, one in zip(branch, said, strict=True) if one.role == "assistant"]
    turns = turns[len(turns) - len(conversation.steps) :]
    steps = [
        _with_tokens(step, nodes[n], f"{where}: nodes[{n}]")
        for step, n in zip(conversation.steps, turns, strict=True)
    ]
    status, origin = _ending_of_trace(trace, reader)
    others = {str(n): node for n, node in enumerate(nodes) if n not in branch}
    info = {k: v for k, v in trace.items() if k != "nodes" and v is not None}
    return Trajectory(
        _task_of_trace(trace, where, reader, conversation.prompt),
        conversation.prompt,
        tuple(steps),
        _reward_of_trace(trace, where, reader, status),
        status,
        origin,
        conversation.with_heard(
            info | ({BRANCHES: others} if others else {}) | _beside(nodes, branch), where
        ),
    )


def _last_branch(nodes: Sequence[Record], where: str) -> list[int]:
    """From a root to the last leaf. Parents come before their children, so a walk ends."""
    for n, node in enumerate(nodes):
        parent = node.get("parent")
        is_before = isinstance(parent, int) and not isinstance(parent, bool) and 0 <= parent < n
        if parent is not None and not is_before:
            raise InvalidInput(
                f"{where}: nodes[{n}].parent is {fields.shown(parent)}; expected the number of a "
                "node before it"
            )
    parents = {node.get("parent") for node in nodes}
    leaves = [n for n in range(len(nodes)) if n not in parents]
    branch: list[int] = []
    node_id = leaves[-1] if leaves else None
    while node_id is not None:
        branch.append(node_id)
        node_id = nodes[node_id].get("parent")
    return branch[::-1]


def _num_unsampled(nodes: Sequence[Record]) -> int:
    """How many nodes stand before the first that the model said: a turn of the assistant that it
    did not say is part of the prompt."""
    return next((i for i, node in enumerate(nodes) if node.get("sampled") is True), len(nodes))


def _with_tokens(step: Step, node: Record, where: str) -> Step:
    """The sampled ids: those that `mask` marks; the others are the template's."""
    ids, mask = node.get("token_ids"), node.get("mask")
    if not ids or not mask:
        return step
    listed = fields.array(ids, f"{where}.token_ids"), fields.array(mask, f"{where}.mask")
    if len(listed[0]) != len(listed[1]):
        raise InvalidInput(f"{where}: {len(ids)} token_ids and {len(mask)} marks in mask")
    sampled = tuple(i for i, is_sampled in zip(*listed, strict=True) if is_sampled)
    with placed(where):
        return replace(step, token_ids=sampled, logprobs=node.get("logprobs") or None)


def _beside(nodes: Sequence[Record], branch: Sequence[int]) -> dict[str, Any]:
    rest = {
        str(i): kept
        for i, n in enumerate(branch)
        if isinstance(nodes[n].get("message"), Mapping) and (kept := unread(nodes[n]["message"]))
    }
    return {UNREAD: rest} if rest else {}


def _ending_of_trace(trace: Record, reader: Reader) -> tuple[Status, Origin]:
    errors, stop = trace.get("errors"), trace.get("stop_condition")
    if trace.get("ok") is not True and _is_list(errors) and errors:
        reader.note("status", "error, by the field errors")
        told = errors[-1].get("type") if isinstance(errors[-1], Mapping) else errors[-1]
        return "error", Origin(error=shorten(visible(str(told)), _SHOWN_COLUMNS))
    if isinstance(stop, str) and (stop in _LIMITS or stop in ("max_total_tokens",)):
        reader.note("status", "truncated, by stop_condition")
        by_turns = stop in _TURN_LIMITS
        return "truncated", UNKNOWN if by_turns else Origin(truncated_by=stop)
    reader.note("status", "done")
    return "done", UNKNOWN


def _reward_of_trace(trace: Record, where: str, reader: Reader, status: Status) -> float:
    """The weighted sum of what was judged, as verifiers has it."""
    if reader.choices.reward is not None:
        return reader.reward(trace, where, ())
    given = trace.get("rewards")
    judged = {n: r for n, r in given.items() if r is not None} if isinstance(given, Mapping) else {}
    if judged:
        reader.note("reward", "rewards, by weight")
        return sum(_value(r, f"{where}: rewards.{visible(n)}") for n, r in judged.items())
    return reader.reward(trace, where, _REWARDS, status=status)


def _value(given: Any, where: str) -> float:
    reward = fields.mapping(given, where)
    weight = reward.get("weight", 1.0)
    return fields.number(reward.get("score"), f"{where}.score") * fields.number(
        weight, f"{where}.weight"
    )


def _task_of_trace(trace: Record, where: str, reader: Reader, opening: Any) -> str:
    """The task's own id, its key, or its number; of its environment, and of the agent where there
    are several of them."""
    if reader.choices.task is not None:
        return reader.task_id(trace, where, (), opening)
    names = ("task.data.id", "task.data.name", "task.data.idx", "task.key", "task.hash")
    task_id = reader.task_id(trace, where, names, opening)
    env, agent = at(trace, "env.id"), at(trace, "agent.name")
    parts = [env if isinstance(env, str) else "", task_id]
    parts.append(agent if isinstance(agent, str) and agent != "agent" else "")
    return "/".join(part for part in parts if part)


def _message(said: Said) -> dict[str, Any]:
    """As `vf-eval` saves one: each call a JSON text with a flat function."""
    record: dict[str, Any] = {"role": said.role, "content": said.text}
    if said.calls:
        record["tool_calls"] = [
            json.dumps({"id": c.id, "name": c.name, "arguments": c.arguments}, ensure_ascii=False)
            for c in said.calls
        ]
    if said.answers is not None:
        record["tool_call_id"] = said.answers
    return record


def _of_number(beside: Any, i: int) -> dict[str, Any]:
    rest = beside.get(str(i)) if isinstance(beside, Mapping) else None
    known = ("role", "content", "tool_calls", "tool_call_id", "function_call")
    return {k: v for k, v in rest.items() if k not in known} if isinstance(rest, Mapping) else {}


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


FORMAT = Format(
    name="verifiers",
    title="verifiers' results and traces (vf-eval, prime-rl)",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
)
