"""The OpenAI-compatible policy against a small real server that misbehaves over real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openai")

from support.corridor import Corridor
from support.tokenizers import byte_level

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import ContextExceeded, InvalidInput, ModelFailure
from w2stree.policies.openai import OpenAIPolicy
from w2stree.policies.protocol import Episode, Sampling
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.decoding import Decoding
from w2stree.turns.turn import AgentTurn

Answer = Callable[["Handler", dict[str, Any]], None]

HANG_S = 120
"""Whatever is waited for is there long before, on a busy machine too."""


class Handler(BaseHTTPRequestHandler):
    """Answers the n-th request as the n-th answer of the server says, the last one for ever."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(body)
        answers = self.server.answers
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has given up waiting
            answers[min(number, len(answers) - 1)](self, body)

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests, self.lock = answers, [], threading.Lock()
        self.is_closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def reply(text: str | None = "Action: east", **choice: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message, **choice}]
    return json.dumps({"id": "1", "object": "chat.completion", "choices": choices}).encode()


def says(text: str, **choice: Any) -> Answer:
    return lambda handler, body: handler.send(reply(text, **choice))


def status(code: int, **headers: str) -> Answer:
    return lambda handler, body: handler.send(b'{"error": {"message": "no"}}', code, **headers)


def sends(body: bytes) -> Answer:
    return lambda handler, _: handler.send(body)


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


good = says("Thought: home.\nAction: east")


def policy(server: Server | str, **settings: Any) -> OpenAIPolicy:
    url = server if isinstance(server, str) else server.url
    return OpenAIPolicy("m", base_url=url, **{"max_retries": 1, "timeout_s": HANG_S, **settings})


def ask(agent: OpenAIPolicy, *contents: str) -> list[AgentTurn]:
    """One turn of an episode for each content, one after the other on one event loop."""

    async def turns() -> list[AgentTurn]:
        try:
            return [await agent.turn(episode(content)) for content in contents or ("go",)]
        finally:
            await agent.close()

    return asyncio.run(turns())


def episode(content: str = "go", actions: tuple[str, ...] = ("east", "west")) -> Episode:
    prompt = (Message("user", content),)
    return Episode(0, prompt, Sampling(0.7, 0.9), np.random.default_rng(0), list(actions))


def test_the_request_is_the_history_and_the_sampling() -> None:
    with serving(good) as server:
        running = episode()
        running.steps.append(Step("west", "a wall", "Thought: hm.\nAction: west"))
        asyncio.run(policy(server).turn(running))
    (request,) = server.requests
    assert [(m["role"], m["content"]) for m in request["messages"]] == [
        ("user", "go"),
        ("assistant", "Thought: hm.\nAction: west"),
        ("user", "a wall"),
    ]
    assert (request["model"], request["temperature"], request["top_p"]) == ("m", 0.7, 0.9)
    assert request["seed"] == int(np.random.default_rng(0).integers(2**31))
    assert request["logprobs"] is True
    assert request["return_token_ids"] is True


def test_token_ids_and_logprobs_are_kept_where_given() -> None:
    logprobs = {"content": [{"token": t, "logprob": p, "top_logprobs": [], "bytes": None}
                            for t, p in (("a", -0.5), ("b", -1.0))]}  # fmt: skip
    with serving(
        says("Action: a", token_ids=[7, 8], logprobs=logprobs),
        says("Action: a", token_ids=[7, 8, 9], logprobs=logprobs),
        good,
    ) as server:
        both, other_length, neither = ask(policy(server), "1", "2", "3")
    assert (both.token_ids, both.logprobs) == ((7, 8), (-0.5, -1.0))
    assert (other_length.token_ids, other_length.logprobs) == ((7, 8, 9), None)
    assert (neither.token_ids, neither.logprobs) == (None, None)
    assert policy(server).tokenizer is None, "whose ids they are is not known"


def test_a_server_that_refuses_token_ids_is_asked_without() -> None:
    def refuses(handler: Handler, body: dict[str, Any]) -> None:
        (status(400) if "return_token_ids" in body else good)(handler, body)

    with serving(refuses) as server:
        turns = ask(policy(server), "1", "2")
    assert [turn.token_ids for turn in turns] == [None, None]
    assert len(server.requests) == 3, "refused once, then never asked again"


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 64 tokens. However, you requested 80 tokens",
        "The decoder prompt (length 80) is longer than the maximum model length of 64.",
        "the request exceeds the available context size (64 tokens), try increasing it",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 64. Given: 80",
    ],
)
def test_a_history_that_exceeds_the_model_is_told_apart(message: str) -> None:
    def refuses(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(json.dumps({"error": {"message": message}}).encode(), 400)

    with serving(refuses) as server, pytest.raises(ContextExceeded, match="64"):
        ask(policy(server))
    with serving(status(400)) as server, pytest.raises(ModelFailure) as failed:
        ask(policy(server))
    assert type(failed.value) is ModelFailure


def test_a_reply_cut_off_by_length_is_a_turn() -> None:
    with serving(says("Thought: and then", finish_reason="length")) as server:
        (turn,) = ask(policy(server))
    assert turn.response == "Thought: and then"
    assert turn.is_cut


def test_a_reply_that_thought_until_it_was_cut_is_an_empty_turn() -> None:
    message = {"role": "assistant", "content": None, "reasoning_content": "I wonder"}
    with serving(says("", message=message, finish_reason="length")) as server:
        (turn,) = ask(policy(server))
    assert turn == AgentTurn("", is_cut=True)


def _call(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"id-{name}", "type": "function", "function": function, **more}


def test_a_reply_that_calls_tools_is_a_turn_of_these_calls() -> None:
    calls = [_call("go", '{"to": "east"}'), _call("look", "")]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    with serving(says("", message=message, finish_reason="tool_calls"), good) as server:
        agent = policy(server)
        running = episode()

        async def two_turns() -> AgentTurn:
            turn = await agent.turn(running)
            action = running.action(turn)
            assert action == 'go {"to":"east"}\nlook {}'
            running.steps.append(Step(action, "A wall.", turn.response, tool_calls=turn.tool_calls))
            await agent.turn(running)
            await agent.close()
            return turn

        turn = asyncio.run(two_turns())
    assert turn.tool_calls == (
        ToolCall("go", '{"to":"east"}', "id-go"),
        ToolCall("look", "{}", "id-look"),
    )
    assert turn.response == ""
    _, *exchange = server.requests[1]["messages"]
    assert exchange == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [_call("go", '{"to":"east"}'), _call("look", "{}")],
        },
        {"role": "tool", "tool_call_id": "id-go", "content": ""},
        {"role": "tool", "tool_call_id": "id-look", "content": "A wall."},
    ]


def test_a_call_that_cannot_be_read_is_asked_again() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [_call("go", '{"to": ')]}
    bad = says("", message=message, finish_reason="tool_calls")
    with serving(bad, good) as server:
        assert ask(policy(server))[0].response == "Thought: home.\nAction: east"
    with serving(bad) as server, pytest.raises(ModelFailure, match="calls a tool, but go: argum"):
        ask(policy(server, max_retries=0))


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


def test_the_key_comes_from_the_named_variable_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def notes_key(handler: Handler, body: dict[str, Any]) -> None:
        seen.append(handler.headers["Authorization"])
        good(handler, body)

    monkeypatch.setenv("OPENAI_API_KEY", "not for this server")
    monkeypatch.setenv("MY_KEY", "secret")
    with serving(notes_key) as server:
        ask(policy(server))
        ask(policy(server, api_key_env="MY_KEY"))
    assert seen == ["Bearer none", "Bearer secret"]
    with pytest.raises(InvalidInput, match="NO_KEY is not set"):
        policy("http://127.0.0.1", api_key_env="NO_KEY")


@pytest.mark.parametrize("logprob", [None, float("-inf"), float("nan")])
def test_a_logprob_that_is_no_number_is_not_kept(logprob: float | None) -> None:
    content = [{"token": "a", "logprob": logprob, "top_logprobs": [], "bytes": None}]
    with serving(says("Action: a", logprobs={"content": content})) as server:
        (turn,) = ask(policy(server))
    assert (turn.response, turn.logprobs) == ("Action: a", None)


def test_tokens_are_counted_where_the_server_only_says_how_many() -> None:
    counted = json.loads(reply()) | {"usage": {"completion_tokens": 50, "prompt_tokens": 9}}
    with serving(sends(json.dumps(counted).encode())) as server:
        agent = policy(server)
        ask(agent, "1", "2")
    assert agent.num_generated_tokens == 100


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    pytest.importorskip("transformers")
    return byte_level()


def completes(*choices: list[int], finish_reason: str = "stop", logprob: float = -0.5) -> Answer:
    """Answers with these ids, one list a request; the last one for ever."""
    left = list(choices)

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        ids = left.pop(0) if len(left) > 1 else left[0]
        scores = {"token_logprobs": [logprob] * len(ids), "tokens": [], "text_offset": []}
        choice = {
            "index": 0, "text": "", "finish_reason": finish_reason, "token_ids": ids,
            "logprobs": scores,
        }  # fmt: skip
        body = {"id": "1", "object": "text_completion", "choices": [choice]}
        handler.send(json.dumps(body).encode())

    return answer


def test_a_choice_is_made_token_by_token_among_allowed_ids(tokenizer: Any) -> None:
    go, north, end = (
        tokenizer.convert_tokens_to_ids(token) for token in ("Ġgo", "Ġnorth", "<|im_end|>")
    )
    thought = tokenizer(" no.\nAction:")["input_ids"]  # the server stops late
    with serving(completes(thought, [go], [north])) as server:
        agent = policy(server, tokenizer=tokenizer, decoding=Decoding("admissible"))
        running = episode(actions=("go", "go north", "take the key"))
        turn = asyncio.run(agent.turn(running))
    assert turn.response == "Thought: no.\nAction: go north"
    assert turn.token_ids == (*tokenizer(turn.response)["input_ids"], end)
    assert turn.logprobs is not None
    sampled = [tokenizer.decode(i) for i, p in zip(turn.token_ids, turn.logprobs, strict=True) if p]
    assert "".join(sampled) == " no.\n go north", "the rest left no choice"
    said, first, second = server.requests
    assert said["stop"] == ["\n"]
    assert said["max_tokens"] == 64
    assert said["stop_token_ids"] == [0, end], "the model's own end and the template's"
    assert "allowed_token_ids" not in said
    assert first["max_tokens"] == second["max_tokens"] == 1
    assert go in first["allowed_token_ids"]
    assert {0, end, north} <= set(second["allowed_token_ids"]), "the turn may end here"
    assert second["prompt"] == [*first["prompt"], go]
    assert len({request["seed"] for request in server.requests}) == 3


def test_a_server_that_ignores_the_choice_ends_the_run(tokenizer: Any) -> None:
    with (
        serving(completes([5])) as server,
        pytest.raises(InvalidInput, match="ignores allowed_token_ids"),
    ):
        ask(policy(server, tokenizer=tokenizer, decoding=Decoding("admissible", thought=False)))


def test_a_choice_needs_the_tokenizer() -> None:
    with serving(good) as server, pytest.raises(InvalidInput, match=r"give .*`tokenizer`"):
        policy(server, decoding=Decoding("admissible"))


def test_ids_end_with_the_model_s_own_mark_or_at_the_limit(tokenizer: Any) -> None:
    said = tokenizer("Action: go")["input_ids"]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    with serving(completes([*said, tokenizer.eos_token_id], said, said * 9)) as server:
        agent = policy(server, tokenizer=tokenizer, decoding=Decoding(max_new_tokens=8))
        own, unsaid, cut = ask(agent, "1", "2", "3")
    assert own.response == unsaid.response == "Action: go"
    assert own.token_ids == unsaid.token_ids == (*said, end)
    assert cut.token_ids == (*(said * 9)[:8], end)


def test_scores_are_kept_whole_or_not_at_all_and_greedy_ones_are_certain(tokenizer: Any) -> None:
    said = [*tokenizer("Action: go")["input_ids"], tokenizer.convert_tokens_to_ids("<|im_end|>")]
    with serving(completes(said, logprob=float("-inf"))) as server:
        (turn,) = ask(policy(server, tokenizer=tokenizer))
        assert (turn.token_ids, turn.logprobs) == (tuple(said), None)
        greedy = replace(episode(), sampling=Sampling(temperature=0.0))
        turn = asyncio.run(policy(server, tokenizer=tokenizer).turn(greedy))
        assert turn.logprobs == (0.0,) * len(said)


def play(server: Server, num_plans: int, size: int, **settings: Any) -> list[Trajectory]:
    plans = [EpisodePlan(f"task-{i}", 0, Sampling(), 3) for i in range(num_plans)]
    with EnvironmentPool(Corridor, size) as pool:
        agent = policy(server, **settings)
        return list(rollout(pool, agent, plans, instruction="Go east."))


def test_episodes_are_in_flight_together_and_fail_alone() -> None:
    all_four = threading.Barrier(4)

    def bad_for_task_2(handler: Handler, body: dict[str, Any]) -> None:
        if len(body["messages"]) == 1:  # an episode's first question
            all_four.wait(HANG_S)
        is_bad = "task-2" in body["messages"][0]["content"]
        (status(500) if is_bad else good)(handler, body)

    with serving(bad_for_task_2) as server:
        played = play(server, 4, 4, max_retries=0)
    assert {t.task_id: t.status for t in played} == {
        "task-0": "done", "task-1": "done", "task-2": "error", "task-3": "done",
    }  # fmt: skip
    failed = next(t for t in played if t.status == "error")
    assert server.url in str(failed.origin.error)
    assert failed.steps == ()
    assert all(t.total_return == 1.0 for t in played if t.status == "done")
    assert len(server.requests) == 10
    assert not all_four.broken


def test_a_rollout_closed_early_asks_no_more() -> None:
    another_is_asked, is_closed, is_answered = (threading.Event() for _ in range(3))

    def waits_for_others(handler: Handler, body: dict[str, Any]) -> None:
        if "task-0" in body["messages"][0]["content"]:
            another_is_asked.wait(HANG_S)
        else:
            another_is_asked.set()
            is_closed.wait(HANG_S)
            is_answered.set()
        good(handler, body)

    plans = [EpisodePlan(f"task-{i}", 0, Sampling(), 3) for i in range(20)]
    with serving(waits_for_others) as server, EnvironmentPool(Corridor, 2) as pool:
        episodes = rollout(pool, policy(server, timeout_s=3 * HANG_S), plans, instruction="")
        first = next(episodes)
        episodes.close()  # type: ignore[attr-defined]
        assert not is_answered.is_set(), "nothing is waited for"
        is_closed.set()
        # The pool and the policy serve the next rollout.
        (again,) = rollout(pool, policy(server), plans[:1], instruction="")
    assert first.task_id == "task-0"
    assert again == first
    assert len(server.requests) == 3 + 1 + 3, "one of another task was asked when it was closed"
