"""The OpenAI-compatible policy with a tokenizer of its own: ids asked for, chosen and kept."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("httpx2")

from support.chat_server import Answer, Handler, ask, episode, good, policy, sends, serving
from support.tokenizers import byte_level

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.policies.protocol import Sampling
from w2stree.turns.decoding import Decoding


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


@pytest.mark.parametrize(
    ("ids", "cause"),
    [
        (["a"], "are no ids"),
        ([1.5], "are no ids"),
        ([-7], "are no ids"),
        ([10**40], "are no ids"),
        ({"0": 1}, "are no ids"),
        ([2**30], "the served model's"),
    ],
)
def test_what_is_no_id_of_the_tokenizer_is_a_failure(tokenizer: Any, ids: Any, cause: str) -> None:
    choice = {"index": 0, "text": "", "finish_reason": "stop", "token_ids": ids}
    with (
        serving(sends(json.dumps({"choices": [choice]}).encode())) as server,
        pytest.raises(ModelFailure, match=cause),
    ):
        ask(policy(server, tokenizer=tokenizer, max_retries=0))


def test_fewer_scores_than_ids_are_none(tokenizer: Any) -> None:
    said = tokenizer("Action: go")["input_ids"]
    scores = {"token_logprobs": [-0.1]}
    choice = {"text": "", "finish_reason": "stop", "token_ids": said, "logprobs": scores}
    with serving(sends(json.dumps({"choices": [choice]}).encode())) as server:
        (turn,) = ask(policy(server, tokenizer=tokenizer))
    assert turn.response == "Action: go"
    assert turn.logprobs is None


def test_a_server_without_ids_ends_the_run(tokenizer: Any) -> None:
    with (
        serving(sends(json.dumps({"choices": [{"text": "Action: go"}]}).encode())) as server,
        pytest.raises(InvalidInput, match="returns no token ids; leave out `tokenizer`"),
    ):
        ask(policy(server, tokenizer=tokenizer))


def test_half_an_emoji_can_be_sent(tokenizer: Any) -> None:
    half = "A sign: \ud83d"
    with serving(good) as server:
        ask(policy(server), half)
        assert server.requests[0]["messages"][0]["content"] == half
    with serving(completes(tokenizer("Action: go")["input_ids"])) as server:
        ask(policy(server, tokenizer=tokenizer), half)


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        (
            422,
            {"detail": [{"loc": ["body", "allowed_token_ids"], "msg": "Extra inputs"}]},
            "no all",
        ),
        (400, {"error": {"message": "unknown field `stop_token_ids`"}}, "no stop_token_ids"),
        (404, {"error": {"message": "not found"}}, "no model 'm', or no completions"),
    ],
)
def test_a_server_that_takes_no_ids_ends_the_run(
    tokenizer: Any, status: int, error: Any, cause: str
) -> None:
    def refuses(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(json.dumps(error).encode(), status)

    with (
        serving(refuses) as server,
        pytest.raises(InvalidInput, match=f"{cause}.*leave out `tokenizer`"),
    ):
        ask(policy(server, tokenizer=tokenizer))
    assert len(server.requests) == 1
