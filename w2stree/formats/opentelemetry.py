"""GenAI spans of OpenTelemetry: the spans of one conversation, or else of one trace, are a run.

    invoke_agent ──┬── chat          gen_ai.input.messages    system, user
                   │                 gen_ai.output.messages   assistant: calls weather
                   ├── execute_tool  gen_ai.tool.call.id, gen_ai.tool.call.result
                   └── chat          gen_ai.input.messages    system, user, assistant, tool
    event gen_ai.evaluation.result   gen_ai.output.messages   assistant: It rains.
                                                    the last call has the whole run

    {"role": "assistant", "finish_reason": "stop", "parts": [
       {"type": "reasoning", "content": "…"}, {"type": "text", "content": "I look."},
       {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}]}
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "Rain."}]}

A run is read of its agent's last call (which those are: `telemetry_agents`), and every call before
it has to be how that one begins: where it is not (agents beside one another, a history that was
cut), the run cannot be told and is refused.

Source: the semantic conventions for GenAI (open-telemetry/semantic-conventions-genai, docs/gen-ai:
gen-ai-input-messages.json at b49cb9d, gen-ai-output-messages.json at 8f24f0e, gen-ai-events.md at
002c8a6, gen-ai-agent-spans.md at 002c8a6). A task's name and its reward have no attribute there;
evaluations are events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.call_ids import with_call_ids
from w2stree.formats.conversation import Said, messages_of, read_conversation
from w2stree.formats.format import Format, Located
from w2stree.formats.left_over import FIELD, left_over, restored
from w2stree.formats.placed import placed
from w2stree.formats.reader import Reader, Record
from w2stree.formats.telemetry_agents import (
    INPUT,
    OPERATION,
    OUTPUT,
    OUTSIDE,
    Chosen,
    chosen_of,
    is_of_an_agent,
)
from w2stree.formats.telemetry_history import (
    CONVERSATION,
    SYSTEM,
    given,
    history_of,
    refuse_conversation,
    refuse_other_history,
)
from w2stree.formats.telemetry_messages import answer_of, message_of
from w2stree.formats.telemetry_others import others_in
from w2stree.formats.telemetry_spans import Span, is_spans, spans_of
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import UNKNOWN, Origin
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.trajectory import Status, Trajectory

UNREAD = "messages"
"""In `info`: by a message's number, from 0, the thinking that stood beside what it says."""

_RESPONSE = "gen_ai.response.id"
_EVALUATION = "gen_ai.evaluation.result"
_MESSAGES = (INPUT, OUTPUT, SYSTEM)
_REWARDS = ("attributes.reward", "attributes.total_reward", "attributes.score")
_TASKS = tuple(f"attributes.{name}" for name in ("task_id", "task.id", "task", "gen_ai.task.id"))


def recognises(record: Any) -> bool:
    return isinstance(record, _Group) or is_spans(record)


class _Group(dict[str, Any]):
    """A run's record: what its spans say together, and the spans."""

    spans: list[Span]


def gather(records: Iterable[Located]) -> Iterator[Located]:
    """The spans of a conversation, or of a trace, together; what is none as it is. Memory: all
    spans of the file."""
    by_trace: dict[str, list[Span]] = {}
    for where, record in records:
        try:
            spans = list(spans_of(record, where)) if is_spans(record) else None
        except InvalidInput:
            spans = None
        if spans is None:
            yield where, record  # it is refused where it is read
            continue
        for span in spans:
            by_trace.setdefault(span.trace, []).append(span)
    for span in by_trace.pop("", []):  # an event that names the answer it is about, at most
        by_trace.setdefault(_trace_of_answer(span, by_trace), []).append(span)
    conversations: dict[tuple[str, str], list[Span]] = {}
    for trace, spans in by_trace.items():
        named = dict.fromkeys(str(c) for s in spans if (c := s.get(CONVERSATION)) is not None)
        of_all = next(iter(named), None) if len(named) == 1 else None
        for span in spans:
            own = span.get(CONVERSATION)
            key = of_all if own is None else str(own)
            group = ("trace", trace) if key is None else ("conversation", key)
            conversations.setdefault(group, []).append(span)
    for (what, name), spans in conversations.items():
        if any(map(is_of_an_agent, spans)) or others_in(spans):
            yield f"{spans[0].where}: {what} {visible(name)}", _grouped(spans)


def _trace_of_answer(event: Span, by_trace: Mapping[str, Sequence[Span]]) -> str:
    """The trace of the call that gave the answer which an event is about; "" for no such."""
    ids = {a.get(_RESPONSE) for _, a in event.events if isinstance(a.get(_RESPONSE), str)}
    calls = (span for spans in by_trace.values() for span in spans if not span.is_log)
    return next((s.trace for s in calls if _is_text(r := s.get(_RESPONSE)) and r in ids), "")


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    with placed(where):
        group = record if isinstance(record, _Group) else _grouped(list(spans_of(record, where)))
        read = _run(group, where, reader)
        yield restored(read, _left(group, where), where, reader)


def write(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """OTLP/JSON lines: a span `invoke_agent` a run, and an event with its reward.

    Raises `InvalidInput` for another suffix than `.jsonl`, and for a run that cannot be written.
    """
    if path.suffix.lower() != ".jsonl":
        raise InvalidInput(f"{visible(str(path))}: spans are written as OTLP lines (.jsonl)")
    with replacing(path) as file:
        for number, trajectory in enumerate(trajectories):
            file.write(json.dumps(record_of(trajectory, number), ensure_ascii=True) + "\n")


def record_of(trajectory: Trajectory, number: int = 0) -> Record:
    """A line of OTLP; `number` tells it from another run with the same words."""
    said = with_call_ids(messages_of(trajectory))
    messages = [message_of(one) for one in said]
    attributes: dict[str, Any] = {
        OPERATION: "invoke_agent",
        "gen_ai.provider.name": "w2stree",
        "task_id": trajectory.task_id,
        INPUT: _json(messages),
    }
    if said and said[-1].role == "assistant":  # else what came last is no output
        reason = "tool_call" if said[-1].calls else "stop"
        attributes[INPUT] = _json(messages[:-1])
        attributes[OUTPUT] = _json([messages[-1] | {"finish_reason": reason}])
    if trajectory.origin.policy is not None:
        attributes["gen_ai.agent.name"] = trajectory.origin.policy
    (read,) = runs(_line(attributes, trajectory, number), "run", Reader())
    left = left_over(trajectory, read)
    if left is not None:
        attributes[FIELD] = _json(left)
    return _line(attributes, trajectory, number)


def _grouped(spans: Sequence[Span]) -> _Group:
    group = _Group(
        traces=list(dict.fromkeys(span.trace for span in spans)),
        attributes=_attributes(spans),
        evaluations=_evaluations(spans),
    )
    group.spans = sorted(spans, key=lambda span: span.start)
    return group


def _attributes(spans: Sequence[Span]) -> dict[str, Any]:
    """Of all of them: those of a span that came first count, a root's before all."""
    attributes: dict[str, Any] = {}
    for span in sorted(spans, key=lambda span: (bool(span.parent), span.is_log, span.start)):
        for record in span.records():
            kept = {k: v for k, v in record.items() if k not in _MESSAGES and v is not None}
            attributes = kept | attributes
    return attributes


def _evaluations(spans: Sequence[Span]) -> dict[str, Any]:
    """Scores by name; where one name has several, all of them, which is no number then."""
    scores: dict[str, list[Any]] = {}
    for span in spans:
        for name, attributes in span.events:
            value = attributes.get("gen_ai.evaluation.score.value")
            if name == _EVALUATION and value is not None:
                scores.setdefault(str(attributes.get("gen_ai.evaluation.name")), []).append(value)
    return {k: v[0] if all(one == v[0] for one in v) else v for k, v in scores.items()}


def _run(group: _Group, where: str, reader: Reader) -> Trajectory:
    chosen = _chosen(group.spans, where, reader)
    calls = chosen.own
    last = calls[-1]
    history, thoughts = history_of(last)
    for before in calls[:-1]:
        refuse_other_history(history_of(before)[0], history, before, last)
    history += _results_after(history, group.spans)
    conversation = read_conversation(history, where, reader)
    cut = _is_cut(calls)
    steps = conversation.steps
    first = sum(one.role == "assistant" for one in history) - len(steps)
    status, origin = _ending(group, reader)
    own, choices = _said_of_run(group, chosen), reader.choices
    with _missing_root_told(group.spans):
        reward = _reward(own if choices.reward is None else group, where, reader, status)
    rest = {str(i): thought for i, thought in thoughts.items()}
    return Trajectory(
        reader.task_id(own if choices.task is None else group, where, _TASKS, conversation.prompt),
        conversation.prompt,
        tuple(replace(s, is_cut=True) if first + i in cut else s for i, s in enumerate(steps)),
        reward,
        status,
        replace(origin, policy=_policy(chosen)),
        conversation.with_heard(_info(group) | ({UNREAD: rest} if rest else {}), where),
    )


def _chosen(spans: Sequence[Span], where: str, reader: Reader) -> Chosen:
    """Calls of the run's agent with their words; what is left out is told."""
    chosen = chosen_of(spans)
    if not chosen.own and (names := " and ".join(others_in(spans))):
        raise InvalidInput(
            f"{where}: its calls of models are written by the conventions of {names}, which are "
            f"not read: have them written by OpenTelemetry's for GenAI ({INPUT}, {OUTPUT}), make "
            "chat messages of them (format messages), or leave them out (on_error=skip, "
            "--on-error skip)"
        )
    for name in others_in([span for span in spans if not is_of_an_agent(span)]):
        reader.note("left out", f"calls by the conventions of {name}")
    if not chosen.own:
        raise InvalidInput(
            f"{where}: no call of its model has {OUTPUT}: record what is said (in most "
            "instrumentations OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, and for "
            "conventions since 1.37 OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental)"
        )
    for reason, calls in chosen.aside.items():
        if reason == OUTSIDE:
            refuse_conversation(calls)
        reader.note("left out", reason)
    return chosen


def _results_after(history: Sequence[Said], spans: Sequence[Span]) -> list[Said]:
    """What tools answered to the last turn, where their own spans say it."""
    if not history or history[-1].role != "assistant":
        return []
    results = []
    for call in history[-1].calls:
        for span in spans:
            result = span.get("gen_ai.tool.call.result")
            if call.id is not None and span.get("gen_ai.tool.call.id") == call.id:
                if result is not None:
                    results.append(answer_of({"response": result, "id": call.id}, span.where))
                break
    return results


def _is_cut(calls: Sequence[Span]) -> set[int]:
    """By the number of the turn, those that a limit of their length ended."""
    cut = set()
    for span in calls:
        output = given(span, OUTPUT)
        if output and isinstance(output[0], Mapping) and output[0].get("finish_reason") == "length":
            cut.add(sum(one.role == "assistant" for one in history_of(span)[0]) - 1)
    return cut


def _ending(group: _Group, reader: Reader) -> tuple[Status, Origin]:
    """By the span that holds the others: that a call within it failed may have been mended."""
    for span in group.spans:
        error = span.get("error.type")
        if not span.parent and not span.is_log and (span.is_failed or error is not None):
            reader.note("status", "error, by the root span")
            told = "failed" if error is None else str(error)
            return "error", Origin(error=visible(told))
    reader.note("status", "done")
    return "done", UNKNOWN


def _said_of_run(group: _Group, chosen: Chosen) -> Record:
    """Where a task and a return are looked for: not in what is said of other calls and agents."""
    spans = [span for span in group.spans if span.id not in chosen.others]
    own = _evaluations(spans)
    scores = {name: own[name] for name in group["evaluations"] if name in own}
    return {**group, "attributes": _attributes(spans), "evaluations": scores}


def _reward(record: Record, where: str, reader: Reader, status: Status) -> float:
    """The one evaluation's score, else an attribute that says it; of several the chosen one."""
    scores = record["evaluations"]
    if reader.choices.reward is None and len(scores) > 1:
        names = ", ".join(f"evaluations.{visible(name)}" for name in scores)
        raise InvalidInput(
            f"{where}: {len(scores)} evaluations: choose one (reward=, --reward-field): {names}"
        )
    named = [f"evaluations.{name}" for name in scores]
    return reader.reward(record, where, [*named, *_REWARDS], status=status)


@contextmanager
def _missing_root_told(spans: Sequence[Span]) -> Iterator[None]:
    """Where nothing says what the run was worth, since the span that would is in another file."""
    try:
        yield
    except InvalidInput as error:
        ids = {span.id for span in spans if not span.is_log}
        tops = [s for s in spans if not s.is_log and (s.trace, s.parent) not in ids]
        if not tops or not all(span.parent for span in tops):
            raise
        raise InvalidInput(
            f"{error}; the span that holds them ({visible(tops[0].parent)}) is not in this file: "
            "where a trace was split over files, put them into one"
        ) from None


def _policy(chosen: Chosen) -> str | None:
    for name in ("gen_ai.agent.name", "gen_ai.request.model"):
        for span in chosen.line:
            if _is_text(value := span.get(name)):
                return str(value)
    return None


def _info(group: _Group) -> dict[str, Any]:
    attributes = {k: v for k, v in group["attributes"].items() if k != FIELD}
    return {
        "traces": group["traces"],
        "attributes": attributes,
        "evaluations": group["evaluations"],
    }


def _left(group: _Group, where: str) -> Any:
    left = group["attributes"].get(FIELD)
    return parse_json(left, f"{where}: {FIELD}") if isinstance(left, str) else left


def _line(attributes: Mapping[str, Any], trajectory: Trajectory, number: int) -> Record:
    digest = sha256(f"{number} {trajectory.to_json()}".encode()).hexdigest()
    score = {
        "gen_ai.evaluation.name": "reward",
        "gen_ai.evaluation.score.value": trajectory.total_return,
    }
    span = {
        "traceId": digest[:32],
        "spanId": digest[32:48],
        "name": "invoke_agent",
        "kind": 1,
        "startTimeUnixNano": "0",
        "endTimeUnixNano": "0",
        "attributes": _pairs(attributes),
        "events": [{"name": _EVALUATION, "timeUnixNano": "0", "attributes": _pairs(score)}],
    }
    scope = {"scope": {"name": "w2stree"}, "spans": [span]}
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]}


def _pairs(attributes: Mapping[str, Any]) -> list[Record]:
    return [
        {"key": k, "value": {"doubleValue" if isinstance(v, float) else "stringValue": v}}
        for k, v in attributes.items()
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


FORMAT = Format(
    name="opentelemetry",
    title="OpenTelemetry's GenAI spans",
    recognises=recognises,
    gather=gather,
    runs=runs,
    write=write,
)
