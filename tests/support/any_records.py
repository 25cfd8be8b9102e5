"""Records of trajectories with anything in every field, and what a forest of some is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

import w2stree as w2s
from w2stree.errors import InvalidInput
from w2stree.trajectories.tool_call import ToolCall, action_of
from w2stree.trajectories.trajectory import Trajectory

TEXTS = st.text(max_size=6) | st.sampled_from(["go", "é", "\0", '"\\/', "\x7f\x1f\u2028", "🗝"])
NUMBERS = st.sampled_from([0, 1, -1, 0.5, 1e-300, 1e22, 0.1 + 0.2, 2**53 + 1, -(2**63)])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(
    st.builds(
        ToolCall,
        name=st.sampled_from(["search", "f-1"]),
        arguments=st.dictionaries(TEXTS, JSON, max_size=3).map(json.dumps)
        | st.sampled_from(['{"a": ', "[1]", "", '"x"', '{"a"\n1}', "{'a': 1}"]),
        id=st.sampled_from([None, "c1"]),
        result=st.sampled_from([None, "", "ok"]),
    ),
    max_size=2,
).map(tuple)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def step_records(draw: st.DrawFn) -> dict[str, Any]:
    calls = draw(CALLS) if draw(st.booleans()) else ()
    ids = draw(optional(st.lists(st.integers(0, 2**40), max_size=3)))
    logprobs = [-0.5] * len(ids) if ids is not None and draw(st.booleans()) else None
    record: dict[str, Any] = {
        "action": action_of(calls) if calls else draw(TEXTS),
        "observation": draw(TEXTS),
        "response": draw(optional(TEXTS)),
        "token_ids": ids,
        "logprobs": logprobs,
        "reward": draw(optional(NUMBERS)),
        "is_cut": draw(optional(st.booleans())),
    }
    if calls:
        record["tool_calls"] = [
            {"name": c.name, "arguments": c.arguments, "id": c.id, "result": c.result}
            for c in calls
        ]
    return record


ORIGINS = st.fixed_dictionaries(
    {},
    optional={
        "sample_index": optional(st.integers(0, 1)),
        "seed": optional(st.sampled_from([0, 1, -5])),
        "attempt": optional(st.integers(0, 1)),
        "policy": optional(st.sampled_from(["", "random"])),
        "temperature": optional(st.sampled_from([1, 1.0, 0.7])),
        "raw_return": optional(NUMBERS),
    },
)
RECORDS = st.fixed_dictionaries(
    {
        "task_id": st.sampled_from(["a", "b"]),
        "prompt": st.just([{"role": "user", "content": "Find the coin."}]),
        "steps": st.lists(step_records(), max_size=3),
        "total_return": NUMBERS,
        "status": st.sampled_from(["done", "truncated", "error"]),
    },
    optional={
        "origin": optional(ORIGINS),
        "info": optional(st.dictionaries(TEXTS | st.just("policy"), JSON, max_size=3)),
    },
)


def kind_and_text(error: Exception) -> tuple[type, str]:
    return type(error), str(error)


def forest_or_refusal(trajectories: Sequence[Trajectory]) -> tuple[Any, ...]:
    try:
        forest = w2s.build_forest(trajectories)
    except InvalidInput as error:
        return kind_and_text(error)
    texts = (forest.task_ids, list(forest.actions), list(forest.observations))
    return forest.digest(), forest.num_errors, *texts, list(forest.trajectories)
