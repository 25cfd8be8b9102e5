"""Any trajectories, with words, tool calls and everything beside them, for formats to hold."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from w2stree import Message, Origin, Step, ToolCall, Trajectory
from w2stree.trajectories.tool_call import action_of

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["Action: look", "Thought: hm\nAction: go 1", "a\nb", "\ud83d", "<b>", "{}", " x "]
)
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS | st.lists(TEXTS, max_size=2)
INFO = st.dictionaries(
    st.sampled_from(["model", "note", "reward", "id", "messages", "w2stree", "error", "a.b"]),
    VALUES | st.dictionaries(TEXTS, VALUES, max_size=2),
    max_size=3,
)
CALLS = st.builds(
    ToolCall,
    st.sampled_from(["look", "take.it"]),
    st.dictionaries(st.sampled_from(["x", "y"]), VALUES, max_size=2)
    .map(json.dumps)
    .filter(lambda text: "\\ud83d" not in text)
    | st.sampled_from(['{"x": ', "{'x': 1}", '"x"', "x\ny"]),
    st.none() | st.sampled_from(["c1", "c2"]),
    st.none() | TEXTS,
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    calls = tuple(draw(st.lists(CALLS, max_size=2)))
    response = draw(TEXTS)
    words = draw(st.sampled_from(["look", response, ""]))
    ids = draw(st.none() | st.lists(st.integers(0, 9), max_size=2).map(tuple))
    return Step(
        action_of(calls) if calls else words,
        draw(TEXTS),
        response,
        token_ids=ids,
        logprobs=draw(st.none() | st.just(tuple(-0.5 for _ in ids or ()))),
        reward=draw(st.none() | st.floats(-1, 1)),
        tool_calls=calls,
        is_cut=draw(st.booleans()),
    )


RUNS = st.builds(
    Trajectory,
    TEXTS,
    st.lists(
        st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS), max_size=3
    ).map(tuple),
    st.lists(steps(), max_size=3).map(tuple),
    st.floats(-2, 2),
    st.sampled_from(["done", "truncated", "error"]),
    st.builds(Origin, sample_index=st.none() | st.integers(0, 3), seed=st.none() | st.just(7)),
    INFO,
)
