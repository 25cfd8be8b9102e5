"""Inputs that cannot be read as they are: what is wrong, where, what is said, and what is left.

Bad("a torn line", make, "a\\.jsonl:2: torn by", used=2)      make(folder) writes it
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import agenttraj_runs, eto_runs, swe_agent_runs, tau_bench_runs
from support.foreign_runs import (
    atif_document,
    eval_file,
    responses_request,
    verifiers_episode,
    verifiers_rollout,
)
from support.played_runs import RUNS

from w2stree import InvalidInput, Message, Step, Trajectory

Make = Callable[[Path], Path]
Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Bad:
    """`told` is searched in the error, which begins with the path. With `on_error="skip"` there are
    `used` runs, and `skipped` that are told as the error is; None: it is refused all the same."""

    name: str
    make: Make
    told: str
    used: int = 0
    skipped: int | None = 1
    kind: type[Exception] = InvalidInput
    options: dict[str, Any] = field(default_factory=dict)


USER = {"role": "user", "content": "Find the key."}
LOOK = {"role": "assistant", "content": "Thought: hm\nAction: look"}
TURNS = [{"from": "human", "value": "Find the key."}, {"from": "gpt", "value": "Action: look"}]
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "function": {"name": "open", "arguments": '{"box": 2}'}}],
}
OWN = Trajectory("t", (Message("user", "Go."),), (Step("a", "Ok.", "Action: a"),), 1.0, "done")


def own(**changes: Any) -> dict[str, Any]:
    return json.loads(OWN.to_json()) | changes


def chat(*messages: Any, **beside: Any) -> dict[str, Any]:
    return {"task_id": "t", "reward": 1.0, "messages": [USER, *messages]} | beside


GOOD: dict[str, Any] = {
    "w2stree": own(),
    "messages": chat(LOOK),
    "sharegpt": {"id": "t", "reward": 1.0, "conversations": TURNS},
    "eto": eto_runs.explored(RUNS[0]) | {"id": "t"},
    "agenttraj": agenttraj_runs.inferred(RUNS[0]),
    "swe_agent": swe_agent_runs.run_of(RUNS[0]) | {"instance_id": "i", "reward": 1.0},
    "tau_bench": tau_bench_runs.result(*tau_bench_runs.CANCELLED),
    "atif": atif_document(),
    "responses": responses_request(),
    "verifiers": verifiers_rollout(),
    "verifiers traces": verifiers_episode(),
}
"""A good record of each format that has one a line."""


def line(record: Any) -> bytes:
    return json.dumps(record).encode() + b"\n"


def file(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


def files(contents: dict[str, bytes]) -> Make:
    """A folder of them."""

    def make(folder: Path) -> Path:
        for name, content in contents.items():
            file(name, content)(folder)
        return folder

    return make


def beside(good: Any, bad: bytes) -> bytes:
    """The bad line between two good ones."""
    return line(good) + bad.rstrip(b"\n") + b"\n" + line(good)


def put(*path: Any, value: Any) -> Change:
    """The value at a path of keys; its last key appears where there is none."""

    def change(given: Any) -> Any:
        at = given = json.loads(json.dumps(given))
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        return given

    return change


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def parquet(name: str, *rows: Any, cut: int = 0, metadata: Any = None) -> Make:
    def make(folder: Path) -> Path:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pylist(list(rows))
        if metadata is not None:
            table = table.replace_schema_metadata(metadata)
        pyarrow.parquet.write_table(table, folder / name)
        if cut:
            data = (folder / name).read_bytes()
            (folder / name).write_bytes(data[:-cut])
        return folder / name

    return make


def arrow_stream(name: str, *rows: Any, cut: int = 0) -> Make:
    def make(folder: Path) -> Path:
        import pyarrow

        table = pyarrow.Table.from_pylist(list(rows))
        with pyarrow.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(table)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) - cut])
        return folder / name

    return make


def own_table(change: Callable[[Any], Any] | None = None, cut: int = 0) -> Make:
    """Three runs of ours; the table changed as another program writes it."""

    def make(folder: Path) -> Path:
        import pyarrow.parquet as pq

        from w2stree import write_trajectories

        path = folder / "a.parquet"
        write_trajectories(path, [OWN] * 3)
        if change is not None:
            pq.write_table(change(pq.read_table(path)), path)
        if cut:
            path.write_bytes(path.read_bytes()[:-cut])
        return path

    return make


def with_info(*values: str) -> Callable[[Any], Any]:
    def change(table: Any) -> Any:
        import pyarrow as pa

        at = table.schema.get_field_index("info")
        return table.set_column(at, table.schema.field(at), pa.array(values, pa.string()))

    return change


def packed(name: str, **changes: bytes | None) -> Make:
    """A log of Inspect with other members; None: without this one. `samples_8` is one more."""

    def make(folder: Path) -> Path:
        members = {k: json.dumps(v).encode() for k, v in eval_file().items()}
        names = {"header": "header.json", "start": "_journal/start.json"}
        for key, content in changes.items():
            member = names.get(key, f"{key.replace('_', '/')}_epoch_1.json")
            members.pop(member, None)
            if content is not None:
                members[member] = content
        with zipfile.ZipFile(folder / name, "w") as into:
            for member, content in members.items():
                into.writestr(member, content)
        return folder / name

    return make


def zipped(name: str, **members: bytes) -> Make:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / name, "w") as into:
            for member, content in members.items():
                into.writestr(member.replace("_", "."), content)
        return folder / name

    return make


def link_to_nothing(folder: Path) -> Path:
    (folder / "a.jsonl").symlink_to("gone.jsonl")
    return folder / "a.jsonl"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.jsonl")
    return folder / "a.jsonl"


def empty_folder(folder: Path) -> Path:
    (folder / "runs").mkdir()
    return folder / "runs"


def journal(change: Callable[[bytes], bytes]) -> Make:
    from w2stree.trajectories.frames import encode_frame

    frames = encode_frame(OWN.to_json().encode()) * 2
    return file("a.journal", change(frames))


LINES = line(chat(LOOK)) * 2
SAMPLE = eval_file()["samples/7_epoch_1.json"]
