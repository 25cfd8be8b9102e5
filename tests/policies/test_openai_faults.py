"""The OpenAI-compatible policy against a server that misbehaves over real sockets."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("httpx2")

from support.asynchronous import HANG_S
from support.chat_server import (
    Answer,
    Handler,
    ask,
    good,
    policy,
    reply,
    sends,
    serving,
    status,
)

from w2stree.errors import InvalidInput, ModelFailure


def truncated(handler: Handler, body: dict[str, Any]) -> None:
    handler.send(reply()[:20], Content_Length=str(len(reply())))
    handler.close_connection = True


def silent(handler: Handler, body: dict[str, Any]) -> None:
    handler.server.is_closing.wait(HANG_S)
    handler.close_connection = True


def repeats_itself(handler: Handler, body: dict[str, Any]) -> None:
    """The whole HTTP response twice, in one write; the text tells the requests apart."""
    text = f"Action: {body['messages'][-1]['content']}"
    content = reply(text)
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode()
    handler.wfile.write((head + content) * 2)


@pytest.mark.parametrize(
    "fault",
    [status(500), status(503), truncated, sends(b"<html>busy</html>"), sends(b"{}"),
     sends(b'{"choices": []}'), sends(reply() * 2), sends(reply(None)), sends(b"")],
    ids=["500", "503", "truncated", "not JSON", "no choices", "empty choices",
         "two bodies", "empty content", "no body"],
)  # fmt: skip
def test_a_passing_fault_is_asked_again_and_a_lasting_one_is_a_model_failure(
    fault: Answer,
) -> None:
    with serving(fault, good) as server:
        (turn,) = ask(policy(server))
        assert turn.response == "Thought: home.\nAction: east"
        assert server.requests[0] == server.requests[1], "the same seed too"
    with serving(fault) as server, pytest.raises(ModelFailure, match=server.url):
        ask(policy(server, max_retries=0))


def test_no_answer_in_time_is_a_fault_of_that_kind() -> None:
    # The retries are many: on a busy machine the good answer may be late as well.
    with serving(silent, good) as server:
        (turn,) = ask(policy(server, timeout_s=0.5, max_retries=50))
        assert turn.response == "Thought: home.\nAction: east"
        assert server.requests[0] == server.requests[1], "the same seed too"
    with serving(silent) as server, pytest.raises(ModelFailure, match=server.url):
        ask(policy(server, timeout_s=0.5, max_retries=0))


def test_retry_after_is_honoured() -> None:
    with serving(status(429, Retry_After="1.5"), good) as server:
        start = time.perf_counter()
        ask(policy(server))
    assert time.perf_counter() - start >= 1.5


def test_a_response_sent_twice_does_not_answer_the_next_question() -> None:
    with serving(repeats_itself) as server:
        turns = ask(policy(server), "one", "two", "three")
    assert [turn.response for turn in turns] == ["Action: one", "Action: two", "Action: three"]


def test_a_server_that_is_down_is_named() -> None:
    with serving(good) as server:
        url = server.url
    with pytest.raises(ModelFailure, match=url):
        ask(policy(url))


@pytest.mark.parametrize(("code", "message"), [(401, "refuses us"), (404, "has no model 'm'")])
def test_what_no_retry_can_mend_is_the_user_s_to_mend(code: int, message: str) -> None:
    with serving(status(code)) as server, pytest.raises(InvalidInput, match=message):
        ask(policy(server))
    assert len(server.requests) == 1
