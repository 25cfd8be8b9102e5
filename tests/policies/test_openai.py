"""The OpenAI-compatible policy against a small real server: requests, turns, episodes."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("httpx2")

from support.asynchronous import HANG_S
from support.chat_server import (
    Handler,
    Server,
    ask,
    episode,
    good,
    policy,
    reply,
    says,
    sends,
    serving,
    status,
)
from support.corridor import Corridor

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import ContextExceeded, InvalidInput, ModelFailure
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.turn import AgentTurn


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
    assert seen == [None, "Bearer secret"]
    with pytest.raises(InvalidInput, match="is not set"):
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


def test_an_episode_keeps_the_server_s_count_where_there_are_no_ids() -> None:
    counted = json.loads(reply()) | {"usage": {"completion_tokens": 50, "prompt_tokens": 9}}
    with serving(sends(json.dumps(counted).encode())) as server:
        (counted_run,) = play(server, 1, 1)
    assert counted_run.origin.num_tokens == 50 * len(counted_run.steps)
    with serving(good) as server:
        assert play(server, 1, 1)[0].origin.num_tokens is None, "nobody said"
    with serving(says("Action: east", token_ids=[7, 8])) as server:
        assert play(server, 1, 1)[0].origin.num_tokens is None, "the ids say it"
