"""Results of tau2-bench: an agent and a simulated user, who may have tools of his own.

    {"info": {"environment_info": {"domain_name": "airline", "policy": "# Policy …"},
              "agent_info": {"llm": "gpt-4.1"}, …}, "tasks": […],
     "simulations": [
       {"id": "5f…", "task_id": "3", "trial": 0, "termination_reason": "user_stop",
        "reward_info": {"reward": 1.0, …},
        "messages": [
          {"role": "assistant", "content": "Hi! How can I help you today?"},       ┐ prompt, after
          {"role": "user", "content": "Cancel my order, please."},                 ┘ the policy
          {"role": "assistant", "content": null, "usage": {…}, "tool_calls":
             [{"id": "c1", "name": "cancel", "arguments": {…}, "requestor": "assistant"}]},
          {"role": "tool", "id": "c1", "content": "{…}", "requestor": "assistant"},
          {"role": "user", "content": null, "tool_calls": [{… "requestor": "user"}]},   ┐ his own:
          {"role": "tool", "id": "u1", "content": "…", "requestor": "user"}, …]}, …]}   ┘ not seen

    results.json              the same without its simulations, where each has a file:
    simulations/5f….json      one of them

Source: github.com/sierra-research/tau2-bench, `src/tau2/data_model/simulation.py` at 143a213
(`Results`, `SimulationRun`, `TerminationReason`), `message.py` at 2e2a017 and
`src/tau2/orchestrator/orchestrator.py` at 07a1081 (the greeting, which no model said).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.content_blocks import text_of
from w2stree.formats.conversation import Said, read_conversation
from w2stree.formats.format import Format, Located
from w2stree.formats.messages import UNREAD
from w2stree.formats.placed import placed
from w2stree.formats.reader import Reader, Record, at
from w2stree.formats.tool_calls import call_of
from w2stree.trajectories import fields
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Status, Trajectory

OF_USER = "tools_of_the_user"
"""In `info`: by a message's number, from 0, those of the user's own tools, which no agent reads."""

_RESULTS, _SIMULATION = "results", "simulation"
_OF_ONE = ("id", "task_id", "termination_reason", "start_time")
_FILE = "results.json"
_FOLDER = "simulations"
_INDEX = "simulation_index"
_INDEXED = "ids of simulation_index"  # beside what the file says
_DONE = ("user_stop", "agent_stop", "agent_error")
_FAILURES = ("user_error", "infrastructure_error", "context_window_exceeded", "unexpected_error")
_LIMITS = ("max_steps", "timeout", "too_many_errors")
_READ = ("role", "content", "tool_calls", "id")
_NOT_KEPT = ("messages", "ticks")


def recognises(record: Any) -> bool:
    if not isinstance(record, Mapping):
        return False
    if isinstance(record.get(_SIMULATION), Mapping):  # gathered
        return isinstance(record.get(_RESULTS), Mapping)
    is_whole = isinstance(record.get("info"), Mapping) and isinstance(record.get("tasks"), list)
    has_runs = isinstance(record.get("simulations"), list) or _INDEX in record
    return (is_whole and has_runs) or set(_OF_ONE) <= record.keys()


def gather(records: Iterable[Located]) -> Iterator[Located]:
    """Each simulation, with what its results say of all."""
    for where, record in records:
        if not recognises(record):
            yield where, record
        elif set(_OF_ONE) <= record.keys():
            yield where, {_RESULTS: _results_beside(where), _SIMULATION: record}
        elif not isinstance(record.get("simulations"), list):
            yield where, record  # to be compared with the folder
        else:
            results = {k: v for k, v in record.items() if k != "simulations"}
            for i, simulation in enumerate(record["simulations"]):
                yield (
                    f"{where}: simulations[{i}]",
                    {_RESULTS: results, _SIMULATION: simulation}
                    if isinstance(simulation, Mapping)
                    else simulation,
                )


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    with placed(where):
        if _INDEX in record and not isinstance(record.get("simulations"), list):
            _refuse_missing(record, where)
            return
        for _, one in gather([(where, record)]) if _SIMULATION not in record else [("", record)]:
            yield _run(one[_SIMULATION], one[_RESULTS], where, reader)


def _run(simulation: Record, results: Record, where: str, reader: Reader) -> Trajectory:
    if simulation.get("messages") is None:
        raise InvalidInput(f"{where}: has no messages: spoken runs (ticks) are not read")
    _refuse_unlisted(simulation, results, where)
    if not results:
        reader.note("results.json", "not beside the runs: neither domain nor policy is known")
    given = fields.array(simulation["messages"], f"{where}: messages")
    messages = list(_flat(given, where))
    status, origin = _ending(simulation, results, where, reader)
    seen = [i for i, (_, message) in enumerate(messages) if not _is_of_user(message)]
    said = [_said(messages[i][1], messages[i][0]) for i in seen]
    policy = _policy(simulation, results)
    system = [] if policy is None else [Said("system", policy)]
    num_prompt = len(system) + _num_prompt([messages[i][1] for i in seen])
    conversation = read_conversation([*system, *said], where, reader, num_prompt=num_prompt)
    reward = reader.reward(simulation, where, ("reward_info.reward",), status=status)
    # By their numbers in the conversation, which has the policy and not the user's own tools.
    read = [messages[i][1] for i in seen]
    rest = {
        str(i): more for i, message in enumerate(read, len(system)) if (more := _unread(message))
    }
    own = {str(i): m for i, (_, m) in enumerate(messages) if _is_of_user(m)}
    kept = {k: v for k, v in simulation.items() if k not in _NOT_KEPT and v is not None}
    return Trajectory(
        _task_id(simulation, results, where, reader, conversation.prompt),
        conversation.prompt,
        conversation.steps,
        reward,
        status,
        origin,
        conversation.with_heard(
            {_SIMULATION: kept}
            | ({UNREAD: rest} if rest else {})
            | ({OF_USER: own} if own else {}),
            where,
        ),
    )


def _flat(given: Sequence[Any], where: str) -> Iterator[tuple[str, Record]]:
    """The messages with their places; answers of several tools may be one message."""
    for i, message in enumerate(given):
        place = f"{where}: messages[{i}]"
        record = fields.mapping(message, place)
        several = record.get("tool_messages")
        if several is None:
            yield place, record
            continue
        for j, one in enumerate(fields.array(several, f"{place}: tool_messages")):
            inner = f"{place}.tool_messages[{j}]"
            yield inner, fields.mapping(one, inner)


def _is_of_user(message: Record) -> bool:
    """Whether the user called a tool in it, or a tool answered him."""
    if message.get("role") == "tool":
        return message.get("requestor") == "user"
    return message.get("role") == "user" and bool(message.get("tool_calls"))


def _said(message: Record, where: str) -> Said:
    if message.get("is_audio") is True:
        raise InvalidInput(
            f"{where}: is sound, and only texts can be read: leave such runs out (on_error=skip, "
            "--on-error skip)"
        )
    role = fields.text(message.get("role"), f"{where}: role")
    text = text_of(message.get("content"), f"{where}: content")
    listed = fields.array(message.get("tool_calls") or [], f"{where}: tool_calls")
    calls = tuple(call_of(call, f"{where}: tool_calls[{i}]") for i, call in enumerate(listed))
    answers = message.get("id") if role == "tool" else None
    return Said(
        role, text, calls, fields.text(answers, f"{where}: id") or None if answers else None
    )


def _num_prompt(messages: Sequence[Record]) -> int:
    """How many stand before the agent's first own: tau2-bench says the greeting itself, without a
    model, of whose turns it keeps the usage."""
    turns = [i for i, m in enumerate(messages) if m.get("role") == "assistant"]
    own = [i for i in turns if messages[i].get("usage") or messages[i].get("raw_data")]
    if own:
        return own[0]
    is_greeting = bool(turns) and turns[0] == 0 and not messages[0].get("tool_calls")
    return next(iter(turns[is_greeting:]), len(messages))


def _ending(
    simulation: Record, results: Record, where: str, reader: Reader
) -> tuple[Status, Origin]:
    """What failed beside the agent says nothing of the task; tau2-bench leaves most of it out of
    its own means. Of an agent's own error it is the agent's return."""
    reason = str(simulation.get("termination_reason"))
    model = at(results, "info.agent_info.llm")
    policy = model if isinstance(model, str) else None
    if reason in _FAILURES:
        reader.note("status", "error, by termination_reason")
        return "error", Origin(error=reason, policy=policy)
    if reason in _LIMITS:
        reader.note("status", "truncated, by termination_reason")
        cut_by = None if reason == "max_steps" else reason
        return "truncated", Origin(truncated_by=cut_by, policy=policy)
    if reason not in _DONE:
        raise InvalidInput(
            f"{where}: termination_reason is {fields.shown(simulation.get('termination_reason'))}; "
            f"known are {', '.join((*_DONE, *_LIMITS, *_FAILURES))}: leave such runs out "
            "(on_error=skip, --on-error skip)"
        )
    reader.note("status", "done, by termination_reason")
    return "done", Origin(policy=policy)


def _policy(simulation: Record, results: Record) -> str | None:
    """What the agent was told: of it the results keep the policy, and not the words around it."""
    for policy in (simulation.get("policy"), at(results, "info.environment_info.policy")):
        if isinstance(policy, str):
            return policy
    return None


def _task_id(simulation: Record, results: Record, where: str, reader: Reader, opening: Any) -> str:
    """The task's, of its domain: each domain numbers its own."""
    task_id = reader.task_id(simulation, where, ("task_id",), opening)
    domain = at(results, "info.environment_info.domain_name")
    if reader.choices.task is None and isinstance(domain, str) and domain:
        return f"{domain}/{task_id}"
    return task_id


def _unread(message: Record) -> dict[str, Any]:
    if _is_of_user(message):  # kept whole
        return {}
    return {k: v for k, v in message.items() if k not in _READ and v is not None}


def _results_beside(where: str) -> Record:
    folder = Path(where).parent
    if folder.name != _FOLDER:
        return {}
    file = folder.parent / _FILE
    try:
        status = file.stat()
        return _results(file, status.st_mtime_ns, status.st_size)
    except OSError:
        return {}


@lru_cache(maxsize=4)
def _results(file: Path, changed_at: int, size: int) -> Record:
    """Once for all of a folder's runs."""
    value = parse_json(file.read_bytes(), str(file))
    if not isinstance(value, dict):
        return {}
    return {**value, _INDEXED: frozenset(_ids(value, str(file)))} if _INDEX in value else value


def _ids(results: Record, where: str) -> list[str]:
    """Of the simulations that the index names; null is none."""
    place = f"{where}: {_INDEX}"
    return [
        fields.text(fields.mapping(entry, f"{place}[{i}]").get("id"), f"{place}[{i}]: id")
        for i, entry in enumerate(fields.array(results[_INDEX] or [], place))
    ]


def _refuse_missing(results: Record, where: str) -> None:
    """As tau2-bench does, of a simulation that the index names and the folder has not."""
    folder = Path(where).parent / _FOLDER  # where: the file, or a line of it
    if not (folder.parent / _FILE).is_file():
        return
    missing = [id for id in _ids(results, where) if not (folder / f"{id}.json").is_file()]
    if missing:
        raise InvalidInput(
            f"{where}: {_INDEX} names {len(missing):,} simulations that are not in {_FOLDER}/, the "
            f"first {fields.shown(missing[0])}: copy the whole folder, or go on without them "
            "(on_error=skip, --on-error skip)"
        )


def _refuse_unlisted(simulation: Record, results: Record, where: str) -> None:
    """And of one that the folder has and the index does not name."""
    indexed = results.get(_INDEXED)
    if indexed and simulation.get("id") not in indexed:
        raise InvalidInput(
            f"{where}: {_FILE} beside it does not name it in {_INDEX}: a run of other results; "
            "take it away, or leave it out (on_error=skip, --on-error skip)"
        )


FORMAT = Format(
    name="tau2_bench",
    title="tau2-bench's results",
    recognises=recognises,
    runs=runs,
    gather=gather,
    within=("messages",),
)
