"""Why a server refuses a request, read from whatever body it answers with.

{"error": {"message": …, "type": …, "param": …, "code": …}}   OpenAI, Azure, vLLM, llama.cpp
{"object": "error", "message": …, "code": 400}                older vLLM, SGLang
{"error": "…", "error_type": …}                               TGI, Ollama, LM Studio
{"detail": [{"loc": ["body", "seed"], "msg": …}]}             FastAPI
<html>…                                                       whatever stands in between
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TOO_LONG_CODES = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "contextwindowexceedederror",
        "context_limit_exceeded",
        "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded",
    }
)
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum model length|max_model_len|max_seq_len"
    r"|`inputs` (tokens|must have less)|contextwindowexceeded"
    r"|maximum (allowed|prompt|input) length|prompt is too long|input is too long"
    r"|input token count|input tokens exceed"
    r"|max_(completion_)?tokens must be at least 1, got",
    re.IGNORECASE,
)
"""How they say that a request exceeds the model: OpenAI, Azure, vLLM ("maximum context length",
"must be at least 1": nothing is left of it), SGLang ("longer than the model's context length",
"maximum allowed length"), llama.cpp ("available context size"), TGI, Ollama, LM Studio, LiteLLM,
TabbyAPI; behind gateways Anthropic, Bedrock, Gemini, xAI."""

PARAMETERS = (
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "seed"),
    *("logprobs", "return_token_ids", "allowed_token_ids", "stop_token_ids"),
)
_NAMED = re.compile(rf"\b({'|'.join(PARAMETERS)})\b")
_NOT_TAKEN = re.compile(
    r"unsupported|not support|isn't support|unrecogni[sz]ed|unknown|unexpected|not allowed"
    r"|not permitted|extra (inputs|fields)|extra_forbidden|only the default",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """`status` of HTTP, the server's `message`, its `codes` in small letters, and the `parameter`
    of `PARAMETERS` that it does not take; None where it names none."""

    status: int
    message: str
    codes: frozenset[str]
    parameter: str | None

    @property
    def is_too_long(self) -> bool:
        """Whether the request exceeds what the model can read."""
        is_about_requests = self.status in (200, 400, 413, 422) or self.status >= 500
        says_so = self.codes & _TOO_LONG_CODES or _TOO_LONG.search(self.message)
        return is_about_requests and bool(says_so)

    @property
    def is_unpaid(self) -> bool:
        """Whether waiting does not help: the account has nothing left."""
        return self.status == 402 or "insufficient_quota" in self.codes


class Refused(Exception):  # noqa: N818 (the policy may ask in another way)
    """The server answers, and will not."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refusal_in(status: int, body: bytes) -> Refusal:
    """Never raises: what cannot be read is the message as it stands."""
    text = body.decode("utf-8", "replace").strip()
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    return refusal_of(status, record, text)


def refusal_of(status: int, record: Any, text: str) -> Refusal:
    """As `refusal_in`, of a body that was read as JSON and as text."""
    errors = list(_errors(record))
    message = next(
        (m for e in errors for m in _texts(e, "message", "msg", "error", "detail")), text
    )
    codes = frozenset(c.lower() for e in errors for c in _texts(e, "code", "type", "error_type"))
    return Refusal(status, message, codes, _parameter(errors, message))


def _errors(record: Any) -> Iterator[dict[str, Any]]:
    """The objects of a body that speak of the error, the innermost first."""
    if not isinstance(record, dict):
        return
    for key in ("error", "detail"):
        inner = record.get(key)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                yield one
    yield record


def _texts(error: dict[str, Any], *keys: str) -> Iterator[str]:
    for key in keys:
        value = error.get(key)
        if isinstance(value, str) and value:
            yield value


def _parameter(errors: list[dict[str, Any]], message: str) -> str | None:
    for error in errors:
        place = error.get("loc")
        last = place[-1] if isinstance(place, list) and place else None
        for name in (error.get("param"), last):
            if isinstance(name, str) and name in PARAMETERS:
                return name
    named = _NAMED.search(message) if _NOT_TAKEN.search(message) else None
    return named[1] if named else None
