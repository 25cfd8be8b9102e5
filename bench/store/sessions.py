"""Synthetic sessions of coding agents, as tracing writes them: an OpenTelemetry span a model call.

    call 1   system, tools, task
    call 2   system, tools, task, turn, tool's answer
    call 3   system, tools, task, turn, tool's answer, turn, tool's answer      … all of it anew

What is used again, as in real stores: every call repeats all before it; all sessions have one of
three system prompts; eight sessions a task begin alike; a task's sessions read the same files. The
words are real: source files and docstrings of Python's standard library.
"""

from __future__ import annotations

import json
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SAMPLES_A_TASK = 8
_MOST_FILES = 300
_PAGE = 1_600  # characters of a file that a tool shows at once
_LEAST_CALLS, _MOST_CALLS = 8, 32


class Library:
    """The standard library as what agents read: its files, and the sentences of its docstrings."""

    def __init__(self) -> None:
        folder = Path(sysconfig.get_paths()["stdlib"])
        found = sorted(folder.glob("*.py")) + sorted(folder.glob("*/[a-z]*.py"))
        self.files = {
            file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8", errors="replace")
            for file in found[:_MOST_FILES]
        }
        docstrings = re.findall(r'"""(.+?)"""', "\n".join(self.files.values()), re.DOTALL)
        said = (re.sub(r"\s+", " ", text) for text in docstrings)
        self.sentences = sorted(
            {s for text in said for s in re.findall(r"[A-Z][^.]{30,200}\.", text)}
        )


def lines(num_sessions: int, seed: int = 0) -> Iterator[bytes]:
    """The spans of so many sessions, in the order in which they ended: tasks are mixed."""
    library, chance = Library(), random.Random(seed)
    systems = [_text(f"You are agent {i}. " + _said(library, chance, 25)) for i in range(3)]
    tasks = [_task(library, chance) for _ in range(-(-num_sessions // SAMPLES_A_TASK))]
    order = [task for task in range(len(tasks)) for _ in range(SAMPLES_A_TASK)][:num_sessions]
    chance.shuffle(order)
    for number, task in enumerate(order):
        yield from _session(
            library, chance, number, f"task-{task}", chance.choice(systems), *tasks[task]
        )


def _task(library: Library, chance: random.Random) -> tuple[str, list[str]]:
    """What is asked, and the files that are looked at for it."""
    return _said(library, chance, 6), chance.sample(sorted(library.files), 5)


def _said(library: Library, chance: random.Random, num_sentences: int) -> str:
    return " ".join(chance.choices(library.sentences, k=num_sentences))


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}


def _session(
    library: Library,
    chance: random.Random,
    number: int,
    task_id: str,
    system: dict[str, str],
    task: str,
    names: list[str],
) -> Iterator[bytes]:
    messages = [_packed({"role": "user", "parts": [_text(task)]})]
    trace, second = f"{chance.getrandbits(128):032x}", 0
    num_calls = chance.randint(_LEAST_CALLS, _MOST_CALLS)
    for call in range(num_calls):
        turn, told = _turn(library, chance, names, f"call_{chance.getrandbits(96):024x}")
        is_last = call == num_calls - 1
        second += chance.randint(1, 20)
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.system_instructions": json.dumps([system]),
            "gen_ai.input.messages": f"[{', '.join(messages)}]",
            "gen_ai.output.messages": f"[{turn}]",
            "gen_ai.usage.input_tokens": sum(map(len, messages)) // 4,
            "task_id": task_id,
        } | ({"reward": float(chance.random() < 0.4)} if is_last else {})
        yield _span(trace, f"{chance.getrandbits(64):016x}", number, second, attributes)
        messages += [turn, told]


def _turn(
    library: Library, chance: random.Random, names: list[str], call_id: str
) -> tuple[str, str]:
    """A turn with a call, and the tool's answer to it: a page of a file, or lines found in it."""
    name = chance.choice(names)
    file = library.files[name]
    if chance.random() < 0.6:
        start = _PAGE * chance.randrange(len(file) // _PAGE + 1)
        arguments, shown = {"path": name, "start": start}, file[start : start + _PAGE]
    else:
        word = chance.choice(["self", "return", "raise", "import", "None", "def", "if", "for"])
        numbered = [f"{i}: {line}" for i, line in enumerate(file.split("\n")) if word in line]
        arguments, shown = {"path": name, "grep": word}, "\n".join(numbered)[:_PAGE]
    called = {"type": "tool_call", "id": call_id, "name": "read", "arguments": arguments}
    said = _text(_said(library, chance, chance.randint(1, 4)))
    turn = {"role": "assistant", "parts": [said, called], "finish_reason": "tool_call"}
    answer = {"type": "tool_call_response", "id": call_id, "response": shown}
    return _packed(turn), _packed({"role": "tool", "parts": [answer]})


def _span(trace: str, span: str, number: int, second: int, attributes: dict[str, object]) -> bytes:
    start = f"2026-01-{1 + number % 28:02d}T{number % 24:02d}:{second // 60:02d}:{second % 60:02d}Z"
    record = {
        "name": "chat m",
        "context": {"trace_id": f"0x{trace}", "span_id": f"0x{span}", "trace_state": "[]"},
        "kind": "SpanKind.CLIENT",
        "parent_id": None,
        "start_time": start,
        "end_time": start,
        "status": {"status_code": "UNSET"},
        "attributes": attributes,
        "events": [],
        "links": [],
        "resource": {"attributes": {"service.name": "agents"}, "schema_url": ""},
    }
    return (json.dumps(record) + "\n").encode("ascii")


def _packed(message: dict[str, object]) -> str:
    return json.dumps(message)
