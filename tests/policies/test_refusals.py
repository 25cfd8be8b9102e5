"""What a server refuses, and what is then asked, or said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("httpx2")

from support.chat_server import Answer, Handler, ask, episode, good, policy, serving

from w2stree.errors import ContextExceeded, InvalidInput, ModelFailure
from w2stree.policies.protocol import Sampling
from w2stree.policies.served.refusal import refusal_in
from w2stree.turns.turn import AgentTurn

TOO_LONG = {
    "OpenAI": {"error": {"message": "no", "type": "invalid_request_error", "param": "messages",
                         "code": "context_length_exceeded"}},
    "OpenAI, newer": {"error": {"message": "Input tokens exceed the configured limit of 272000"}},
    "Azure": {"error": {"message": "This model's maximum context length is 8192 tokens."}},
    "vLLM": {"object": "error", "message": "This model's maximum context length is 64 tokens. "
             "However, you requested 80 tokens", "type": "BadRequestError", "code": 400},
    "vLLM, the prompt": {"error": {"message": "The decoder prompt (length 80) is longer than the "
                                   "maximum model length of 64."}},
    "vLLM, both": {"error": {"message": "'max_tokens' or 'max_completion_tokens' is too large: "
                             "2000. This model's maximum context length is 4096 tokens",
                             "param": "max_tokens"}},
    "vLLM, nothing left": {"message": "max_tokens must be at least 1, got -16."},
    "SGLang": {"object": "error", "message": "The input (61709 tokens) is longer than the model's "
               "context length (40960 tokens)."},
    "SGLang, asked": {"message": "Requested token count exceeds the model's maximum context length "
                      "of 2048 tokens."},
    "SGLang, input": {"message": "Input length (9 tokens) exceeds the maximum allowed length (8)"},
    "llama.cpp": {"error": {"code": 400, "message": "the request exceeds the available context "
                            "size, try increasing it", "type": "exceed_context_size_error"}},
    "TGI": {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 64. "
            "Given: 80", "error_type": "validation"},
    "TGI, the prompt": {"error": "Input validation error: `inputs` must have less than 64 tokens."},
    "Ollama": {"error": {"message": "the input length exceeds the context length"}},
    "LM Studio": {"error": "Trying to keep the first 15857 tokens when context the overflows. "
                  "However, the model is loaded with context length of only 4096 tokens"},
    "LM Studio, later": {"error": "Reached context length of 4096 tokens with model (arch: x)"},
    "LiteLLM": {"error": {"message": "litellm.ContextWindowExceededError: too many",
                          "type": None, "param": None, "code": "400"}},
    "TabbyAPI": {"detail": "Prompt length 9000 is greater than max_seq_len 8192"},
    "Anthropic": {"error": {"message": "prompt is too long: 208310 tokens > 200000 maximum"}},
    "Mistral": {"message": "Prompt contains 33000 tokens, too large for model with 32768 maximum "
                "context length"},
    "xAI": {"error": "This model's maximum prompt length is 131072 but the request has 537812"},
}  # fmt: skip

NOT_TOO_LONG = {
    "a template": {"error": {"message": "Conversation roles must alternate"}},
    "tokens a minute": {"error": {"message": "Request too large on tokens per min (TPM)"}},
    "a parameter": {"error": {"message": "seed must be an integer", "param": "seed"}},
    "no object": [1, None],
}


def answers(body: Any, status: int = 400) -> Answer:
    return lambda handler, _: handler.send(json.dumps(body).encode(), status)


@pytest.mark.parametrize("server", TOO_LONG)
def test_a_history_that_is_too_long_is_told_apart(server: str) -> None:
    assert refusal_in(400, json.dumps(TOO_LONG[server]).encode()).is_too_long


@pytest.mark.parametrize("server", NOT_TOO_LONG)
def test_another_refusal_is_not_one_of_length(server: str) -> None:
    assert not refusal_in(400, json.dumps(NOT_TOO_LONG[server]).encode()).is_too_long


def test_it_ends_the_episode_at_once() -> None:
    with serving(answers(TOO_LONG["vLLM, both"])) as server, pytest.raises(ContextExceeded):
        ask(policy(server))
    assert len(server.requests) == 1, "max_completion_tokens would not help"
    with serving(answers(NOT_TOO_LONG["a template"])) as server:
        with pytest.raises(ModelFailure, match="must alternate") as failed:
            ask(policy(server))
        assert type(failed.value) is ModelFailure


def refuses(name: str, message: str = "Unsupported parameter: '{}'", **more: Any) -> Answer:
    """Refuses requests that have `name`, as OpenAI does; answers the others."""
    error = {"message": message.format(name), "param": name, "code": "unsupported_parameter"}

    def answer(handler: Handler, body: dict[str, Any]) -> None:
        if name in body:
            handler.send(json.dumps({"error": {**error, **more}}).encode(), 400)
        else:
            good(handler, body)

    return answer


def test_max_tokens_is_asked_for_by_its_new_name_from_then_on() -> None:
    message = (
        "Unsupported parameter: '{}' is not supported with this model. Use "
        "'max_completion_tokens' instead."
    )
    with serving(refuses("max_tokens", message)) as server:
        ask(policy(server), "1", "2")
    refused, first, second = server.requests
    assert refused["max_tokens"] == first["max_completion_tokens"] == 256
    assert "max_tokens" not in first | second
    assert (first["logprobs"], first["seed"]) == (True, refused["seed"])


@pytest.mark.parametrize("name", ["seed", "logprobs", "return_token_ids"])
def test_what_samples_do_not_depend_on_is_left_out_from_then_on(name: str) -> None:
    with serving(refuses(name)) as server:
        ask(policy(server), "1", "2")
    _, *answered = server.requests
    assert len(answered) == 2
    kept = {"seed", "logprobs", "return_token_ids", "temperature", "top_p", "max_tokens"} - {name}
    assert all(kept <= body.keys() and name not in body for body in answered)


@pytest.mark.parametrize(
    "refusal",
    [
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]},
        {"error": {"message": "Unrecognized request argument supplied: seed"}},
        {"error": {"message": "unknown field `seed`, expected one of"}},
    ],
)
def test_the_name_is_found_wherever_it_stands(refusal: Any) -> None:
    def answer(handler: Handler, body: dict[str, Any]) -> None:
        (answers(refusal, 422) if "seed" in body else good)(handler, body)

    with serving(answer) as server:
        ask(policy(server))
    assert "seed" not in server.requests[-1]
    assert server.requests[-1]["logprobs"] is True


def test_a_model_that_may_not_give_logprobs_is_asked_without() -> None:
    def answer(handler: Handler, body: dict[str, Any]) -> None:
        no = {"error": {"message": "You are not allowed to request logprobs from this model"}}
        (answers(no, 403) if "logprobs" in body else good)(handler, body)

    with serving(answer) as server:
        ask(policy(server))


def sampled(server: Any, sampling: Sampling) -> AgentTurn:
    import asyncio

    async def turn() -> AgentTurn:
        agent = policy(server)
        try:
            return await agent.turn(replace(episode(), sampling=sampling))
        finally:
            await agent.close()

    return asyncio.run(turn())


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_a_sampling_that_is_not_taken_ends_the_run(name: str) -> None:
    message = "Unsupported value: '{}' does not support 0.7 with this model."
    with serving(refuses(name, message)) as server:
        with pytest.raises(InvalidInput, match=f"does not take this {name}.*change samplings"):
            sampled(server, Sampling(0.7, 0.9))
        sampled(server, Sampling(1.0, 1.0))  # what it does without being told
    assert len(server.requests) == 3
    assert name not in server.requests[-1]


def test_a_refusal_of_something_else_costs_no_logprobs() -> None:
    no = {"error": {"message": "Conversation roles must alternate"}}
    with serving(answers(no), answers(no), good) as server:
        agent = policy(server)
        with pytest.raises(ModelFailure):
            ask(agent)
        ask(agent)
    assert server.requests[-1]["logprobs"] is True
