"""Calls of models by conventions that are none of OpenTelemetry's: told, so that none is lost.

    OpenInference          openinference.span.kind: LLM      llm.input_messages.0.message.role: …
    OpenLLMetry (Traceloop)    llm.request.type: chat            gen_ai.prompt.0.role: …
    Vercel's AI SDK        ai.operationId: ai.generateText   ai.prompt.messages: […]
    MLflow                 mlflow.spanType: "CHAT_MODEL"     mlflow.spanInputs: {…}

Source: Arize-ai/openinference, spec/semantic_conventions.md; of the others the attributes that
their instrumentations write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from w2stree.formats.telemetry_spans import Span

_Attributes = Mapping[str, Any]


def conventions_of(span: Span) -> str | None:
    """Those that it is a model's call by; None for what is none."""
    return next((name for name, is_call in _OTHERS.items() if is_call(span.attributes)), None)


def others_in(spans: Sequence[Span]) -> list[str]:
    return list(dict.fromkeys(name for span in spans if (name := conventions_of(span))))


def _of_openinference(given: _Attributes) -> bool:
    return _has(given, "openinference.span.kind", "LLM") or _begins(given, "llm.input_messages.")


def _of_openllmetry(given: _Attributes) -> bool:
    return _has(given, "llm.request.type", "chat", "completion") or _begins(
        given, "gen_ai.prompt.", "gen_ai.completion."
    )


def _of_vercel(given: _Attributes) -> bool:
    return "ai.operationId" in given and _begins(given, "ai.prompt")


def _of_mlflow(given: _Attributes) -> bool:
    return _has(given, "mlflow.spanType", "CHAT_MODEL", "LLM")


def _has(given: _Attributes, name: str, *values: str) -> bool:
    value = given.get(name)
    return isinstance(value, str) and value.strip('"').upper() in map(str.upper, values)


def _begins(given: _Attributes, *names: str) -> bool:
    return any(name.startswith(names) for name in given)


_OTHERS: dict[str, Callable[[_Attributes], bool]] = {
    "OpenInference": _of_openinference,
    "OpenLLMetry (Traceloop)": _of_openllmetry,
    "Vercel's AI SDK": _of_vercel,
    "MLflow": _of_mlflow,
}
