"""Replies of a server that are JSON, or nearly, and not what the protocol promises.

Each is the whole answer to one episode of one exploration, over real sockets. It becomes a turn or
an error row with its cause; the exploration goes on, and its journal reads back what was played.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.faults.raw_server import RawServer, Talk, encoded, reply
from bench.faults.row import Row
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import ModelFailure
from w2stree.policies.openai import OpenAIPolicy
from w2stree.policies.protocol import Sampling
from w2stree.policies.served.reply import completion_in
from w2stree.policies.served.server import ModelServer
from w2stree.rollouts.rollout import EpisodePlan, rollout
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.trajectory import Trajectory

NUM_IDS = 400
"""Of the vocabulary that completions are held against."""

_SAYS = "Action: go"
_DEEP = 100_000
NAN, INFINITY = float("nan"), float("inf")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer's `body`. It is the turn `says`, or else a failure that has `cause` in it."""

    body: bytes
    says: str | None = _SAYS
    cause: str = ""


def _bad(body: bytes | dict[str, Any], cause: str) -> Reply:
    return Reply(body if isinstance(body, bytes) else encoded(body), None, cause)


def _says(text: str, *arguments: Any, **choice: Any) -> Reply:
    return Reply(encoded(reply(*arguments, **choice)), text)


def _kept(**choice: Any) -> Reply:
    """What need not be there is not what it should be: the turn is kept without it."""
    return Reply(encoded(reply(**choice)))


def _scores(*values: Any) -> dict[str, Any]:
    return {"content": [{"token": "a", "logprob": v, "top_logprobs": []} for v in values]}


def _calls(*calls: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": None, "tool_calls": [*calls]}}


def _function(**function: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": function}


def _message(**message: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", **message}}


def _counted(usage: Any) -> Reply:
    return Reply(encoded({**reply(), "usage": usage}))


_WHOLE = encoded(reply())
_HTML = b"<html><body>502 Bad Gateway</body></html>"

REPLIES: dict[str, Reply] = {
    # What is no reply at all.
    "empty": _bad(b"", "not JSON"),
    "html": _bad(_HTML, "not JSON"),
    "event stream": _bad(b"data: " + _WHOLE + b"\n\n", "not JSON"),
    "half": _bad(_WHOLE[:-9], "not JSON"),
    "twice": _bad(_WHOLE * 2, "not JSON"),
    "not UTF-8": _bad(_WHOLE.replace(b"go", b"\xff\xfe"), "not JSON"),
    "nested without end": _bad(b'{"a":' * _DEEP + b"1" + b"}" * _DEEP, "not JSON"),
    "brackets without end": _bad(b"[" * _DEEP + b"]" * _DEEP, "not JSON"),
    "digits without end": _bad(b'{"created":1' + b"0" * 5000 + b"}", "not JSON"),
    "byte order mark": Reply(b"\xef\xbb\xbf" + _WHOLE),
    "UTF-16": Reply(_WHOLE.decode().encode("utf-16")),
    "null": _bad(b"null", "no choices"),
    "a number": _bad(b"5", "no choices"),
    "NaN": _bad(b"NaN", "no choices"),
    "a text": _bad(b'"x"', "no choices"),
    "a list": _bad(b"[]", "no choices"),
    "longer than anything asked for": _bad(_WHOLE + b" " * (8 << 20), "longer than"),
    # Choices.
    "no choices": _bad({"id": "1"}, "no choices"),
    "choices null": _bad({"choices": None}, "no choices"),
    "choices empty": _bad({"choices": []}, "no choices"),
    "choices an object": _bad({"choices": {"0": reply()["choices"][0]}}, "no choices"),
    "choices a text": _bad({"choices": "go"}, "no choices"),
    "choices two": _bad({"choices": reply()["choices"] * 2}, "2 choices"),
    "choice null": _bad({"choices": [None]}, "the choice of the reply is None"),
    "choice a number": _bad({"choices": [5]}, "the choice"),
    "choice a list": _bad({"choices": [[]]}, "the choice"),
    "an error and no choices": _bad({"error": {"message": "busy"}}, "busy"),
    "an error that is a text": _bad({"error": "busy", "choices": []}, "busy"),
    "an error that is a list": _bad({"error": [1, None, {"message": 5}]}, "an error"),
    # The message.
    "message missing": _bad({"choices": [{"index": 0}]}, "the message"),
    "message null": _bad(reply(message=None), "the message"),
    "message a text": _bad(reply(message="go"), "the message"),
    "message a list": _bad(reply(message=[]), "the message"),
    "content missing": _bad(reply(**_message()), "is empty"),
    "content null": _bad(reply(None), "is empty"),
    "content empty": _bad(reply(""), "is empty"),
    "content empty, filtered": _bad(reply("", finish_reason="content_filter"), "content_filter"),
    "content a number": _bad(reply(5), "the content of the reply is 5;"),
    "content zero": _bad(reply(0), "the content of the reply is 0;"),
    "content true": _bad(reply(True), "the content"),
    "content false": _bad(reply(False), "the content"),
    "content an object": _bad(reply({"text": "go"}), "the content"),
    "content nested": _bad(reply([[["go"]]]), "the content"),
    "content text parts": _says(_SAYS, [{"type": "text", "text": t} for t in ("Action: ", "go")]),
    "content of no parts, cut": _says("", [], finish_reason="length"),
    "content parts of thinking": _says(
        _SAYS, [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": _SAYS}]
    ),
    "content parts of nothing": _bad(reply([{"type": "text", "text": ""}]), "is empty"),
    "content parts of thinking alone": _says("", [{"type": "thinking", "thinking": "hm"}]),
    "content an image": _bad(reply([{"type": "image_url", "image_url": {}}]), "the content"),
    "content part without text": _bad(reply([{"type": "text"}]), "the content"),
    "content part of a number": _bad(reply([{"type": "text", "text": 5}]), "the content"),
    "content a list of texts": _bad(reply(["Action: go"]), "the content"),
    "content a list of null": _bad(reply([None]), "the content"),
    "content half an emoji": _says("Action: go \ufffd", "Action: go \ud83d"),
    "content halves in two parts": _says(
        "Action: \U0001f600",
        [{"type": "text", "text": half} for half in ("Action: \ud83d", "\ude00")],
    ),
    "content NUL": _says("Action: go\x00", "Action: go\x00"),
    "content escape sequences": _says("\x1b[2JAction: go\x07", "\x1b[2JAction: go\x07"),
    "content line separators": _says("Action: a\u2028b\x85c", "Action: a\u2028b\x85c"),
    "content blank": _says("  \n ", "  \n "),
    "content of a megabyte": _says(_SAYS + "x" * (1 << 20), _SAYS + "x" * (1 << 20)),
    "refusal": _says("I can't.", **_message(content=None, refusal="I can't.")),
    "thought alone": _says("", **_message(content=None, reasoning_content="I wonder")),
    "thought alone, cut": _says("", finish_reason="length", **_message(content="", reasoning="hm")),
    "nothing, cut": _says("", "", finish_reason="length"),
    "finish_reason a number": _kept(finish_reason=5),
    "finish_reason a list": _kept(finish_reason=[]),
    "finish_reason missing": Reply(encoded({"choices": [{"message": {"content": _SAYS}}]})),
    # Token ids and log-probabilities: kept where they are some.
    **{
        f"token_ids {name}": _kept(token_ids=given)
        for name, given in {
            "texts": ["a", "b"],
            "a text": "abc",
            "floats": [1.5, 2.0],
            "null inside": [None],
            "truths": [True],
            "negative": [-1],
            "huge": [10**40],
            "beyond any vocabulary": [2**31],
            "an object": {"1": 2},
            "a number": 7,
            "nested": [[1]],
            "NaN": [NAN],
            "empty": [],
        }.items()
    },
    **{
        f"logprobs {name}": _kept(logprobs=given)
        for name, given in {
            "NaN": _scores(NAN),
            "-Infinity": _scores(-INFINITY),
            "null inside": _scores(-0.5, None),
            "texts": _scores("x"),
            "truths": _scores(True),
            "beyond the floats": _scores(10**400),
            "a list": [1, 2],
            "a text": "x",
            "a number": 5,
            "of content 5": {"content": 5},
            "of null": {"content": [None]},
            "of numbers": {"content": [1.0]},
            "without logprob": {"content": [{"token": "a"}]},
        }.items()
    },
    "fewer ids than logprobs": _kept(token_ids=[1], logprobs=_scores(-0.1, -0.2)),
    "more ids than logprobs": _kept(token_ids=[1, 2, 3], logprobs=_scores(-0.1)),
    # What was used.
    **{
        f"usage {name}": _counted(given)
        for name, given in {
            "null": None,
            "a text": "x",
            "a list": [5],
            "of a text": {"completion_tokens": "5"},
            "of a float": {"completion_tokens": 5.5},
            "of true": {"completion_tokens": True},
            "of null": {"completion_tokens": None},
            "negative": {"completion_tokens": -5},
            "huge": {"completion_tokens": 10**40},
            "NaN": {"completion_tokens": NAN},
        }.items()
    },
    # Tool calls.
    "tool_calls a text": _bad(reply(**_message(content=None, tool_calls="go")), "tool_calls are"),
    "tool_calls an object": _bad(reply(**_message(content=None, tool_calls={})), "tool_calls are"),
    "tool_calls empty": _bad(reply(**_calls()), "is empty"),
    "tool call null": _bad(reply(**_calls(None)), "a tool call"),
    "tool call without function": _bad(reply(**_calls({"id": "1"})), "a tool call's function"),
    "tool call without name": _bad(reply(**_calls(_function(arguments="{}"))), "a tool's name"),
    "tool call of a number": _bad(reply(**_calls(_function(name=5))), "calls a tool"),
    "tool call with half of its arguments": _bad(
        reply(**_calls(_function(name="go", arguments='{"to": '))), "not valid JSON"
    ),
    "tool call with a list": _bad(
        reply(**_calls(_function(name="go", arguments="[]"))), "text of an object"
    ),
    "tool call with a number": _bad(reply(**_calls(_function(name="go", arguments=5))), "int"),
    "tool call with NaN": _bad(reply(**_calls(_function(name="go", arguments='{"a":NaN}'))), "NaN"),
    "tool call with half an emoji": _bad(
        reply(**_calls(_function(name="go", arguments='{"a":"\\ud83d"}'))), "give JSON"
    ),
    "tool call nested without end": _bad(
        reply(**_calls(_function(name="go", arguments='{"a":' * _DEEP))), "nested deeper"
    ),
    "tool call read already": _says("", **_calls(_function(name="go", arguments={"to": "east"}))),
    "tool call without arguments": _says("", **_calls(_function(name="go"))),
    "tool call of a numbered id": _says("", **_calls({**_function(name="go"), "id": 7})),
}  # fmt: skip


def _completion(**choice: Any) -> bytes:
    return encoded({"choices": [{"index": 0, "finish_reason": "stop", "text": "", **choice}]})


COMPLETIONS: dict[str, tuple[bytes, str | None]] = {
    "ids and logprobs": (_completion(token_ids=[5], logprobs={"token_logprobs": [-0.1]}), None),
    "fewer logprobs": (_completion(token_ids=[5, 6], logprobs={"token_logprobs": [-1.0]}), None),
    "logprobs null inside": (_completion(token_ids=[5], logprobs={"token_logprobs": [None]}), None),
    "logprobs a text": (_completion(token_ids=[5], logprobs="x"), None),
    "logprobs of a text": (_completion(token_ids=[5], logprobs={"token_logprobs": "x"}), None),
    "logprobs huge": (_completion(token_ids=[5], logprobs={"token_logprobs": [10**400]}), None),
    "ids null": (_completion(token_ids=None), None),
    "ids empty": (_completion(token_ids=[]), None),
    "ids texts": (_completion(token_ids=["a"]), "are no ids"),
    "ids floats": (_completion(token_ids=[5.0]), "are no ids"),
    "ids truths": (_completion(token_ids=[True]), "are no ids"),
    "ids negative": (_completion(token_ids=[5, -7]), "are no ids"),
    "ids huge": (_completion(token_ids=[10**40]), "are no ids"),
    "ids an object": (_completion(token_ids={"0": 5}), "are no ids"),
    "ids a number": (_completion(token_ids=7), "are no ids"),
    "ids of another model": (_completion(token_ids=[NUM_IDS]), "the served model's"),
    "choice null": (encoded({"choices": [None]}), "the choice"),
}
"""Bodies of completions of token ids, and the cause where they are none."""


class Door:
    """One step, and whatever was done is right."""

    def tasks(self, split: str) -> list[str]:
        return list(REPLIES)

    def reset(self, task_id: str) -> Any:
        return f"<{task_id}>", {"score": 0.0, "admissible_actions": ["go"]}

    def step(self, action: str) -> Any:
        return "Gone.", 1.0, True, False, {"score": 1.0, "admissible_actions": []}

    def close(self) -> None:
        pass


def explore(journal: Path, *, size: int = 4) -> dict[str, Trajectory]:
    """One exploration in which each episode meets its reply; what its journal reads back."""

    def answers(talk: Talk) -> None:
        name = talk.body.decode().partition("<")[2].partition(">")[0]
        talk.answer(REPLIES[name].body)

    plans = [EpisodePlan(name, 0, Sampling(), seed=0) for name in REPLIES]
    with RawServer({"any": answers}) as server, EnvironmentPool(Door, size) as pool:
        policy = OpenAIPolicy("m", base_url=server.url("any"), timeout_s=120, max_retries=0)
        with Journal(journal) as kept:
            for trajectory in rollout(pool, policy, plans, instruction=""):
                kept.append(trajectory)
    return {trajectory.task_id: trajectory for trajectory in read_journal(journal).trajectories}


def what_is_wrong(name: str, played: Trajectory | None) -> str | None:
    """What an episode should not be, after the reply of that name; None where it is right."""
    expected = REPLIES[name]
    if played is None:
        return "is not in the journal"
    if expected.says is None:
        is_told = played.status == "error" and expected.cause in (played.origin.error or "")
        return None if is_told else f"{played.status}: {played.origin.error}"
    if played.status != "done":
        return f"{played.status}: {played.origin.error}"
    (step,) = played.steps
    return None if step.response == expected.says else f"says {step.response!r}"


def complete(name: str) -> str | None:
    """What is wrong with what becomes of a completion; None where it is right."""
    body, cause = COMPLETIONS[name]

    async def ask(url: str) -> str | None:
        server = ModelServer(url, key=None, timeout_s=120, max_retries=0, max_reply_bytes=1 << 20)
        read = functools.partial(completion_in, num_ids=NUM_IDS)
        try:
            said = await server.ask("/completions", {}, read)
        except ModelFailure as failure:
            return None if cause and cause in str(failure) else str(failure)
        finally:
            await server.close()
        is_whole = said.token_ids is None or len(said.token_ids) == len(said.logprobs)
        return None if cause is None and is_whole else f"is taken: {said}"

    with RawServer({"any": lambda talk: talk.answer(body)}) as server:
        return asyncio.run(ask(server.url("any")))


def rows(folder: Path) -> list[Row]:
    """Every reply once."""
    played = explore(folder / "episodes.journal")
    return [
        Row(
            "replies that are none, or odd",
            len(REPLIES) + len(COMPLETIONS),
            {"other than expected": len(list(_wrong(played)))},
            "; ".join(_wrong(played)),
        )
    ]


def _wrong(played: dict[str, Trajectory]) -> Iterator[str]:
    for name in REPLIES:
        if wrong := what_is_wrong(name, played.get(name)):
            yield f"{name}: {wrong}"
    for name in COMPLETIONS:
        if wrong := complete(name):
            yield f"completion {name}: {wrong}"
