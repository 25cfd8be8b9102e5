"""The run as spans of OpenTelemetry, by the conventions for GenAI."""

from __future__ import annotations

import json
from typing import Any

from support.foreign_run import ANSWER, NOON, RAIN, REWARD, SAID, SYSTEM, TASK, THOUGHT


def genai_spans() -> list[dict[str, Any]]:
    """Spans as `ReadableSpan.to_json` writes them, attributes as the conventions for GenAI say."""
    system = [{"type": "text", "content": SYSTEM}]
    user = {"role": "user", "parts": [{"type": "text", "content": TASK}]}
    turn = {
        "role": "assistant",
        "finish_reason": "tool_call",
        "parts": [
            {"type": "reasoning", "content": THOUGHT},
            {"type": "text", "content": SAID},
            {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Oslo"}},
            {"type": "tool_call", "id": "c2", "name": "clock", "arguments": None},
        ],
    }
    told = {
        "role": "tool",
        "parts": [
            {"type": "tool_call_response", "id": "c1", "response": RAIN},
            {"type": "tool_call_response", "id": "c2", "response": NOON},
        ],
    }
    answer = {
        "role": "assistant",
        "finish_reason": "stop",
        "parts": [{"type": "text", "content": ANSWER}],
    }
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.system_instructions": system,
    }
    first = chat | {"gen_ai.input.messages": [user], "gen_ai.output.messages": [turn]}
    last = chat | {  # on spans also as JSON texts
        "gen_ai.input.messages": json.dumps([user, turn, told]),
        "gen_ai.output.messages": json.dumps([answer]),
    }
    score = {
        "name": "gen_ai.evaluation.result",
        "timestamp": "2026-01-02T03:04:09Z",
        "attributes": {"gen_ai.evaluation.name": "Right", "gen_ai.evaluation.score.value": REWARD},
    }
    root = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper", "task_id": "t1"}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather"}
    return [
        flat_span("chat m", "b2", "a1", 5, last),
        flat_span("chat m", "b1", "a1", 1, first),
        flat_span("execute_tool weather", "b3", "a1", 3, tool),
        flat_span("invoke_agent helper", "a1", None, 0, root) | {"events": [score]},
    ]


def flat_span(
    name: str, span_id: str, parent: str | None, second: int, attributes: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "context": {"trace_id": "0x4bf9", "span_id": f"0x{span_id}", "trace_state": "[]"},
        "kind": "SpanKind.CLIENT",
        "parent_id": None if parent is None else f"0x{parent}",
        "start_time": f"2026-01-02T03:04:0{second}.000000Z",
        "end_time": f"2026-01-02T03:04:0{second}.500000Z",
        "status": {"status_code": "UNSET"},
        "attributes": attributes,
        "events": [],
        "links": [],
        "resource": {"attributes": {"service.name": "s"}, "schema_url": ""},
    }


def otlp_export() -> dict[str, Any]:
    """The same spans in OTLP's JSON encoding, the evaluation as a log record."""
    spans, score = [], None
    for i, flat in enumerate(genai_spans()):
        for event in flat["events"]:
            score = {
                "timeUnixNano": "9",
                "eventName": event["name"],
                "traceId": "4bf9",
                "spanId": flat["context"]["span_id"][2:],
                "attributes": _pairs(event["attributes"]),
            }
        spans.append(
            {
                "traceId": "4bf9",
                "spanId": flat["context"]["span_id"][2:],
                "parentSpanId": (flat["parent_id"] or "")[2:],
                "name": flat["name"],
                "kind": 3,
                "startTimeUnixNano": str(10**18 + (9 if i == 0 else i)),
                "endTimeUnixNano": str(10**18 + 10),
                "attributes": _pairs(flat["attributes"]),
                "status": {},
            }
        )
    resource = {"attributes": _pairs({"service.name": "s"})}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": spans}]}],
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [score]}]}],
    }


def _pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _pairs(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any_value(one) for one in value]}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue" if isinstance(value, float) else "stringValue": value}
