"""One conversation, as Anthropic's API has it and as OpenAI's does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from w2stree import Trajectory
from w2stree.trajectories.answers import HEARD

Record = dict[str, Any]

WORDS = st.sampled_from(["I look.", "Action: go 1", "a\nb", "é"])
RESULTS = st.sampled_from(["Rain.", "", "2", "x\ny"])


def apart_from_order(run: Trajectory) -> Trajectory:
    """Without the order in which a turn's calls were answered, which `info` keeps."""
    return replace(run, info={k: v for k, v in run.info.items() if k != HEARD})


def text(said: str) -> Record:
    return {"type": "text", "text": said}


def use(i: str, name: str, given: Any) -> Record:
    return {"type": "tool_use", "id": i, "name": name, "input": given}


def result(to: str, content: Any, **beside: Any) -> Record:
    return {"type": "tool_result", "tool_use_id": to, "content": content} | beside


def of_assistant(*blocks: Any) -> Record:
    return {"role": "assistant", "content": list(blocks)}


def of_user(*blocks: Any) -> Record:
    return {"role": "user", "content": list(blocks)}


def booked() -> Record:
    """A record with every kind of block that is read."""
    thought = {"type": "thinking", "thinking": "Where?", "signature": "EqQB"}
    calls = [use("u1", "search", {"q": "OSL"}), use("u2", "clock", {})]
    answers = [result("u2", "9:00"), result("u1", [text("AF 80")], is_error=True), text("Quick!")]
    hidden = {"type": "redacted_thinking", "data": "EmwK"}
    said = [
        of_assistant(thought, text("I look."), *calls),
        of_user(*answers),
        of_assistant(hidden, text("Done.")),
    ]
    return {"task_id": "t", "reward": 1.0, "messages": [of_user(text("Book.")), *said]}


@st.composite
def twins(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """The messages of one run in both shapes."""
    mine: list[Record] = [{"role": "user", "content": "Book."}]
    theirs = list(mine)
    for turn in range(draw(st.integers(1, 3))):
        ids = [f"toolu_{turn}_{i}" for i in range(draw(st.integers(0, 3)))]
        mine_of_turn, theirs_of_turn = draw(spoken(ids))
        mine.append(mine_of_turn)
        theirs.append(theirs_of_turn)
        mine_said, theirs_said = draw(told(ids))
        mine += mine_said
        theirs += theirs_said
    return mine, theirs


@st.composite
def spoken(draw: st.DrawFn, ids: list[str]) -> tuple[Record, Record]:
    thought = draw(st.none() | WORDS)
    words = draw(st.lists(WORDS, min_size=0 if ids else 1, max_size=2))
    calls = [
        (i, draw(st.sampled_from(["look", "go"])), draw(st.dictionaries(WORDS, st.integers())))
        for i in ids
    ]
    thinking = [] if thought is None else [{"type": "thinking", "thinking": thought}]
    mine = of_assistant(*thinking, *map(text, words), *(use(*call) for call in calls))
    if len(words) == 1 and not calls and not thinking and draw(st.booleans()):
        mine["content"] = words[0]
    theirs: Record = {"role": "assistant", "content": "".join(words) if words else None}
    if calls:
        theirs["tool_calls"] = [
            {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(given)}}
            for i, n, given in calls
        ]
    if thought is not None:
        theirs["reasoning_content"] = thought
    return mine, theirs


@st.composite
def told(draw: st.DrawFn, ids: list[str]) -> tuple[list[Record], list[Record]]:
    """Answers in any order, in one message of the user's or several, with words or without."""
    answers = [(i, draw(RESULTS), draw(st.booleans())) for i in draw(st.permutations(ids))]
    blocks = [
        result(
            i,
            draw(st.sampled_from([said, [text(said)], [text(said[:1]), text(said[1:])]])),
            is_error=failed,
        )
        for i, said, failed in answers
    ]
    words = draw(st.none() | WORDS) if ids else draw(WORDS)
    user = [] if words is None else [{"role": "user", "content": words}]
    if draw(st.booleans()):
        mine = [*(of_user(block) for block in blocks), *user]
    else:
        mine = [of_user(*blocks, *([] if words is None else [text(words)]))]
    theirs = [
        {"role": "tool", "tool_call_id": i, "content": said}
        | ({"is_error": True} if failed else {})
        for i, said, failed in answers
    ]
    return mine, [*theirs, *user]
