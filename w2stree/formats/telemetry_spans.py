"""Spans of OpenTelemetry, however they are written down, in one shape; and which of them are a run.

    OTLP/JSON   {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": …, "attributes": [
                   {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, …]}]}]}]}
                {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": …, …}]}]}]}
    flat        {"name": …, "context": {"trace_id": …, "span_id": …}, "attributes": {…}}
                {"trace_id": …, "span_id": …, "attributes": {…}}     also traceId, spanId
                                  │
    Span        trace, span, parent, name, start, attributes, events, is_failed

Source: OTLP 1.x, its JSON encoding (opentelemetry-proto, trace/v1 and logs/v1); the JSON of
`opentelemetry-sdk`'s `ReadableSpan.to_json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories import fields

_FAILED = (2, "2", "ERROR", "STATUS_CODE_ERROR", "StatusCode.ERROR")
_LISTS = {"resourceSpans": ("scopeSpans", "spans"), "resourceLogs": ("scopeLogs", "logRecords")}
Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """`parent` is "" for a root; `start` sorts. `events` are (name, attributes)."""

    where: str
    trace: str
    span: str
    parent: str
    start: str
    attributes: Attributes
    events: list[tuple[str, Attributes]] = field(default_factory=list)
    is_failed: bool = False
    is_log: bool = False

    @property
    def id(self) -> tuple[str, str]:
        """Of a log record that of the span which it is about."""
        return self.trace, self.span

    def records(self) -> Iterator[Attributes]:
        """Its attributes, and those of events that describe the same call."""
        yield self.attributes
        for name, attributes in self.events:
            if name == "gen_ai.client.inference.operation.details":
                yield attributes

    def get(self, name: str) -> Any:
        return next((a[name] for a in self.records() if a.get(name) is not None), None)


def is_spans(record: Any) -> bool:
    if not isinstance(record, Mapping):
        return False
    if any(_is_list(record.get(name)) for name in _LISTS):
        return True
    has_ids = bool(_id(record, "trace") and _id(record, "span"))
    return has_ids and isinstance(record.get("attributes"), Mapping | list)


def spans_of(record: Any, where: str) -> Iterator[Span]:
    """Those of one record; raises `InvalidInput` for what is no span."""
    given = fields.mapping(record, where)
    if not any(name in given for name in _LISTS):
        yield _span(given, where, {})
        return
    for name, (scopes, inner) in _LISTS.items():
        for i, resource in _objects(given, name, where):
            place = f"{where}: {name}[{i}]"
            shared = _attributes(_object(resource.get("resource")).get("attributes"), place)
            for j, scope in _objects(resource, scopes, place):
                for k, span in _objects(scope, inner, f"{place}.{scopes}[{j}]"):
                    yield _span(span, f"{place}.{scopes}[{j}].{inner}[{k}]", shared)


def _span(given: Mapping[str, Any], where: str, shared: Attributes) -> Span:
    attributes = shared | _attributes(given.get("attributes"), where)
    is_log = any(name in given for name in ("eventName", "event_name"))
    name = given.get("eventName") or given.get("event_name")
    if not is_log and not (_id(given, "trace") and _id(given, "span")):
        raise InvalidInput(f"{where}: a span without traceId or spanId: of which run is not said")
    status = _object(given.get("status"))
    return Span(
        where=where,
        trace=_id(given, "trace"),
        span=_id(given, "span"),
        parent=_id(given, "parent"),
        start=_start(given),
        attributes={} if is_log else attributes,
        events=[(str(name), attributes)] if is_log else list(_events(given, where)),
        is_failed=any(
            status.get(key) in _FAILED
            for key in ("code", "status_code")
            if _is_plain(status.get(key))
        ),
        is_log=is_log,
    )


def _events(given: Mapping[str, Any], where: str) -> Iterator[tuple[str, Attributes]]:
    for i, event in _objects(given, "events", where):
        yield str(event.get("name")), _attributes(event.get("attributes"), f"{where}.events[{i}]")


def _attributes(given: Any, where: str) -> Attributes:
    """By name: of an object, or of OTLP's list of keys and values."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    made: Attributes = {}
    for i, pair in enumerate(fields.array(given, f"{where}: attributes")):
        place = f"{where}: attributes[{i}]"
        entry = fields.mapping(pair, place)
        key = fields.text(entry.get("key"), f"{place}.key")
        made[key] = _value(entry.get("value"), place)
    return made


def _value(given: Any, where: str) -> Any:
    """What OTLP's `AnyValue` says; 64-bit integers are texts in its JSON."""
    if given is None or given == {}:
        return None
    value = fields.mapping(given, f"{where}.value")
    if "intValue" in value:
        try:
            return int(value["intValue"])
        except (TypeError, ValueError):
            raise InvalidInput(
                f"{where}.value.intValue is {fields.shown(value['intValue'])}; expected an integer"
            ) from None
    if "arrayValue" in value:
        inner = _object(value["arrayValue"])
        return [_value(v, f"{where}[{i}]") for i, v in _listed(inner, "values", where)]
    if "kvlistValue" in value:
        return _attributes(_object(value["kvlistValue"]).get("values") or [], where)
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if name in value:
            return value[name]
    raise InvalidInput(f"{where}.value has {fields.shown(sorted(value))}; expected stringValue, …")


def _id(given: Mapping[str, Any], what: str) -> str:
    """An id of a span, by the names that exporters give it."""
    own = "parent_id" if what == "parent" else f"{what}_id"
    names = [own, f"{what}Id", f"{what}_span_id", f"{what}SpanId"]
    for record in (given, _object(given.get("context"))):
        for name in names:
            if isinstance(record.get(name), str) and record[name]:
                return str(record[name]).removeprefix("0x")
        if what == "parent" and record is given and "context" in given:
            return ""
    return ""


def _start(given: Mapping[str, Any]) -> str:
    """Sorts as time does: nanoseconds, or a text of ISO 8601."""
    names = ("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime")
    for name in (*names, "timeUnixNano", "observedTimeUnixNano", "timestamp"):
        value = given.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value).rjust(40, "0") if str(value).isdecimal() else str(value)
    return ""


def _objects(
    given: Mapping[str, Any], name: str, where: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for i, value in _listed(given, name, where):
        yield i, fields.mapping(value, f"{where}: {name}[{i}]")


def _listed(given: Mapping[str, Any], name: str, where: str) -> Iterator[tuple[int, Any]]:
    if given.get(name) is not None:
        yield from enumerate(fields.array(given[name], f"{where}: {name}"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int)
