"""Whatever JSON a reply is, it becomes a turn that can be written and read, or is malformed."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from w2stree.policies.served.refusal import refusal_of
from w2stree.policies.served.reply import MalformedReply, completion_in, turn_in
from w2stree.trajectories.tool_call import action_of
from w2stree.trajectories.trajectory import Step, Trajectory

KEYS = st.sampled_from(
    [
        *("choices", "message", "content", "type", "text", "refusal", "tool_calls", "function"),
        *("name", "arguments", "id", "token_ids", "logprobs", "token_logprobs", "logprob", "usage"),
        *("completion_tokens", "finish_reason", "reasoning_content", "error", "detail"),
        *("loc", "param", "code"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.integers(-2, 9)
    | st.floats()
    | st.text(st.characters())  # halves of surrogate pairs too
    | st.sampled_from(["text", "length", "stop", "{}", "[1]", "context_length_exceeded"])
)
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)
)
CALLS = st.fixed_dictionaries(
    {
        "id": ANY,
        "function": st.fixed_dictionaries({"name": ANY | st.just("go"), "arguments": ANY}),
    }
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "content": ANY,
        "refusal": ANY,
        "reasoning_content": ANY,
        "tool_calls": ANY | st.lists(CALLS, max_size=3),
    },
)
CHOICES = st.fixed_dictionaries(
    {"message": MESSAGES},
    optional={
        "finish_reason": ANY,
        "token_ids": ANY | st.lists(st.integers(-1, 9)),
        "logprobs": ANY
        | st.fixed_dictionaries({"content": st.lists(st.fixed_dictionaries({"logprob": LEAVES}))})
        | st.fixed_dictionaries({"token_logprobs": st.lists(LEAVES)}),
    },
)
REPLIES = ANY | st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, min_size=1, max_size=1)}, optional={"usage": ANY}
)


@given(REPLIES)
def test_a_turn_can_be_written_and_read(reply: Any) -> None:
    with suppress(MalformedReply):
        turn = turn_in(reply)
        step = Step(
            action_of(turn.tool_calls),
            "Gone.",
            turn.response,
            turn.token_ids,
            turn.logprobs,
            tool_calls=turn.tool_calls,
            is_cut=turn.is_cut,
        )
        played = Trajectory("t", (), (step,), 0.0, "done")
        assert Trajectory.from_json(played.to_json()) == played
        assert turn.num_tokens is None or turn.num_tokens >= 0


@given(REPLIES)
def test_a_completion_has_a_score_for_each_id(reply: Any) -> None:
    with suppress(MalformedReply):
        said = completion_in(reply, num_ids=9)
        ids = said.token_ids or ()
        assert len(ids) == len(said.logprobs)
        assert all(type(i) is int and 0 <= i < 9 for i in ids)
        assert all(type(score) is float for score in said.logprobs)


@given(st.integers(100, 599), ANY)
def test_a_refusal_is_read_whatever_it_is(status: int, record: Any) -> None:
    refusal = refusal_of(status, record, "as it stands")
    assert isinstance(refusal.message, str)
    assert refusal.is_too_long in (True, False)
    json.dumps(sorted(refusal.codes))
