"""A bad record between good ones, of every format that has one a line."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

from support.bad_inputs import CALL, GOOD, LOOK, USER, Bad, Change, beside, deep, file, line, put


def bad_lines(name: str, good: Any) -> Iterator[Bad]:
    """What may stand between two lines of any format."""
    text = json.dumps(good)
    begins = text[:-1] + ", "
    is_own = name == "w2stree"
    for what, bad, told in (
        ("torn", text[: len(text) // 2].encode(),
         r"not valid JSON \(column \d+: .*\); the line is the beginning of a record .*: leave it"),
        ("with NaN", f'{begins}"score2": NaN}}'.encode(),
         r"NaN at column \d+ is no number of JSON"),
        ("with a key twice", f'{{"zz": 1, "zz": 2, {text[1:]}'.encode(),
         "the key 'zz' is given twice in one object, in columns 2 and 11"),
        ("in Latin-1", begins.encode() + b'"zz": "\xe4"}',
         r"not UTF-8 at column \d+ \(byte 0xe4\): convert it to UTF-8, .*iconv"),
        ("nested without end", f'{begins}"zz": {"[" * 5000}{"]" * 5000}}}'.encode(),
         "nested deeper than can be read as JSON"),
        ("a number without end", f'{begins}"zz": {"9" * 5000}}}'.encode(),
         "has a number of more than 4300 digits"),
        ("of zeros", b"\0" * 30, r"not valid JSON \(column 1: NUL bytes, which a crash"),
        ("a list", b"[1, 2]",
         "the record is list; expected an object" if is_own else
          r"it is \[1, 2\]; expected an obj"),
        ("a number", b"3",
         "the record is int; expected an object" if is_own else "it is 3; expected an object"),
        ("something else", b'{"step": 1, "loss": 0.5}',
         "unknown field 'loss'; fields are" if is_own else "its fields are step, loss"),
    ):  # fmt: skip
        yield Bad(f"{name}: a line {what}", file("a.jsonl", beside(good, bad)),
                  rf"a\.jsonl:2: .*{told}", used=2)  # fmt: skip
    yield Bad(
        f"{name}: the last line torn",
        file("a.jsonl", line(good) + text[:-9].encode()),
        r"a\.jsonl:2: torn by an interrupted write; delete this line",
        used=1,
    )
    yield Bad(
        f"{name}: the first line torn",
        file("a.jsonl", text[: len(text) // 2].encode() + b"\n" + line(good) * 2),
        r"a\.jsonl:1: not valid JSON .*the line is the beginning of a record",
        used=2,
    )
    yield Bad(
        f"{name}: packed data that were cut",
        file("a.jsonl.gz", gzip.compress(line(good) * 3 + NOISE)[:-600]),
        r"a\.jsonl\.gz:4: here the packed data end too early",
        used=3,
    )


NOISE = random.Random(0).randbytes(3_000).hex().encode()
"""Of which what is packed holds no more than half when it is cut."""

BAD_LINES = [bad for name, good in GOOD.items() for bad in bad_lines(name, good)]


def of(name: str, told: str, change: Change, **options: Any) -> Bad:
    """A record of a format with something in it changed, between two good ones."""
    good = GOOD[name]
    return Bad(
        f"{name}: {told[:60]}",
        file("a.jsonl", beside(good, line(change(good)))),
        rf"a\.jsonl:2: .*{told}" if not told.startswith("a") else told,
        used=2,
        options=options,
    )


ALSO = {"role": "tool", "tool_call_id": "c9", "content": "x"}
PART = [{"type": "image_url", "image_url": {"url": "x"}}]
NO_TEXT = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": []}}]

BAD_RECORDS = [
    of("w2stree", "task_id is NoneType; expected a string", put("task_id", value=None)),
    of("w2stree", "status is 'lost'; use one of", put("status", value="lost")),
    of("w2stree", "total_return is '1'; expected a finite number", put("total_return", value="1")),
    of("w2stree", "total_return is True; expected a finite", put("total_return", value=True)),
    of("w2stree", r"prompt\[0\]: role is 'tool'; use one of", put("prompt", 0, "role",
       value="tool")),
    of("w2stree", "prompt is str; expected an array", put("prompt", value="Go.")),
    of("w2stree", r"steps\[0\]: observation is NoneType; expec", put("steps", 0, "observation",
       value=None)),
    of("w2stree", r"steps\[0\]: unknown field 'obs'; fields are", put("steps", 0, "obs", value="")),
    of("w2stree", r"steps\[0\]: token_ids\[0\] is 1\.5; expected an integer",
       put("steps", 0, "token_ids", value=[1.5])),
    of("w2stree", r"steps\[0\]: .*action is 'a', but the step's tool calls make it 'f \{\}'",
       put("steps", 0, "tool_calls", value=[{"name": "f", "arguments": "{}"}])),
    of("w2stree", r"info\['x'\].*: more than 200 levels of arrays and objects",
       put("info", value={"x": deep(250)})),
    of("w2stree", r"info\['x'\]: it has \d+ bits; expected at most 640 digits",
       put("info", value={"x": 10**700})),
    of("w2stree", "info is list; expected an object", put("info", value=[1])),
    of("w2stree", "origin is list; expected an object", put("origin", value=[1])),
    of("messages", "reward is '1'; expected a finite number", put("reward", value="1")),
    of("messages", r"no reward at reward, total_return, .*its fields are task_id, .*--reward-field",
       put("reward", value=None)),
    of("messages", r"; reward is null: write one there, or leave such runs out \(.*--on-error skip",
       put("reward", value=None)),
    of("messages", "; messages is empty: leave such runs out .*--on-error skip",
       put("messages", value=[])),
    of("messages", r"; messages\[0\] has no role \(its fields are type, content\): LangChain's c",
       put("messages", value=[{"type": "human", "content": "Go."}])),
    of("messages", "message 2 has the role 'robot'; use system, user, assistant, tool",
       put("messages", 1, "role", value="robot")),
    of("messages", r"messages\[0\]: content\[0\] is of the type 'image_url' and has no text; only "
       r"texts .*--on-error skip", put("messages", 0, "content", value=PART)),
    of("messages", "message 2: a tool answers it, and it called none", put("messages", value=[USER,
       LOOK, ALSO])),
    of("messages", "message 2: a tool answers a call 'c9' that it did not make",
       put("messages", value=[USER, CALL, ALSO])),
    of("messages", r"messages\[1\]: tool_calls\[0\]: f: arguments are list; give the JSON text",
       put("messages", 1, "tool_calls", value=NO_TEXT)),
    of("messages", r"messages\[1\]: tool_calls is dict; expected an array",
       put("messages", 1, "tool_calls", value={"a": 1})),
    of("messages", r"messages\[1\]: role is int; expected a string", put("messages", 1, "role",
       value=3)),
    of("messages", "no record of chat messages.*its fields are task_id, reward, messages",
       put("messages", 1, value="x")),
    of("messages", "info.*more than 200 levels of arrays and objects", put("x", value=deep(250))),
    of("sharegpt", r"conversations\[1\] is from 'robot'; use human", put("conversations", 1,
       "from", value="robot")),
    of("sharegpt", r"conversations\[1\]: value is int; expected a string", put("conversations", 1,
       "value", value=3)),
    of("sharegpt", r"conversations\[1\]: value: name is NoneType; expected",
       put("conversations", 1, value={"from": "function_call", "value": "{}"})),
    of("sharegpt", "no reward at reward, .*--reward-field", put("reward", value=None)),
    of("eto", r"reward", put("meta", "reward", value="high")),
    of("agenttraj", "reward", put("reward", value="high")),
    of("tau_bench", r"traj\[2\]: content is int; expected an array", put("traj", 2, "content",
       value=3)),
    of("tau_bench", "message 3 has the role 'agent'; use system, user", put("traj", 2, "role",
       value="agent")),
    of("tau_bench", "no reward at reward; its fields are task_id, .*--reward-field", put("reward",
       value=None)),
    of("swe_agent", r"history\[1\]", put("history", 1, value="x")),
]  # fmt: skip
