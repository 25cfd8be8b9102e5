"""Trajectories as tables of Parquet, a row a trajectory, every field in a column of its type.

    task_id  prompt: list<role, content>  steps: list<action, observation, response, …>  …  info
    "t1"     [("user", "Find it.")]       [("go north", "Ok.", "I go.", …), …]              "{}"

The schema has a version, in the file's own metadata (`w2stree.trajectories`: 1). What JSON lines
hold and Parquet does not (halves of surrogate pairs, numbers beyond 64 bits) is refused by the
writer. `info`, which may be any JSON, is its text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Message, Step, Trajectory

VERSION = b"1"
_VERSION_KEY = b"w2stree.trajectories"
_PARQUET = b"PAR1"
_ROWS_PER_GROUP = 4_096


def write_table(path: str | os.PathLike[str], trajectories: Iterable[Trajectory]) -> None:
    """Write a Parquet file, all or nothing (`replacing`); read back it is equal in every field.

    Raises `InvalidInput` naming the trajectory that Parquet cannot hold, `TypeError` for anything
    but trajectories, `MissingDependency` without pyarrow, `OSError`. Memory: some thousand rows.
    """
    pa, pq = pyarrow_for(path)
    known, given = schema(pa), iter(enumerate(trajectories))
    with (
        replacing(path, "wb") as file,
        pq.ParquetWriter(file, known, compression="zstd") as writer,
    ):
        while rows := [_row(i, trajectory) for i, trajectory in islice(given, _ROWS_PER_GROUP)]:
            writer.write_batch(_batch(pa, known, rows))


def is_table(file: Path) -> bool:
    """Whether it is a Parquet file that says it has trajectories of ours.

    Raises `InvalidInput` for one that is damaged and `MissingDependency` without pyarrow.
    """
    with file.open("rb") as opened:
        if opened.read(len(_PARQUET)) != _PARQUET:
            return False
    pa, pq = pyarrow_for(file)
    with damage_told(pa, file):
        return _VERSION_KEY in (pq.read_metadata(file).metadata or {})


def check_schema(file: Path, found: Any) -> None:
    """Raises `InvalidInput` for another version, or for other columns than it has."""
    pa, _ = pyarrow_for(file)
    version = (found.metadata or {}).get(_VERSION_KEY, b"none")
    if version != VERSION:
        raise InvalidInput(
            f"{visible(str(file))}: version {visible(version.decode(errors='replace'))} of our "
            f"tables, and this w2stree reads {VERSION.decode()}: use a later one, or write "
            "JSON lines with it"
        )
    for field in schema(pa):
        given = [found.field(i) for i in found.get_all_field_indices(field.name)]
        if [one.remove_metadata() for one in given] != [field]:
            types = " and ".join(map(_kind, given)) or "not there"
            raise InvalidInput(
                f"{visible(str(file))}: column {field.name} is {visible(types)}; version "
                f"{VERSION.decode()} of our tables has {_kind(field)}"
            )


def _kind(field: Any) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"


def trajectory_of(row: Mapping[str, Any], where: str) -> Trajectory:
    """The trajectory of a row; raises `InvalidInput`, beginning with `where`, for one that there
    cannot be."""
    try:
        info = parse_json(row["info"], "info")
        return Trajectory(
            row["task_id"],
            tuple(Message(**message) for message in row["prompt"]),
            tuple(_step(step) for step in row["steps"]),
            row["total_return"],
            row["status"],
            Origin(**row["origin"]),
            info,
        )
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def pyarrow_for(file: str | os.PathLike[str]) -> tuple[Any, Any]:
    """pyarrow and pyarrow.parquet."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingDependency(
            f"{visible(str(file))} needs pyarrow: pip install 'w2stree[arrow]'"
        ) from None
    return pyarrow, pyarrow.parquet


@contextmanager
def damage_told(pa: Any, file: Path) -> Iterator[None]:
    """What pyarrow raises of a file, as `InvalidInput` with its name."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = visible(" ".join(str(error).split()))
        raise InvalidInput(f"{visible(str(file))}: a damaged Parquet file: {reason}") from None


def schema(pa: Any) -> Any:
    """Of version 1. What is never null says so."""

    def struct(**types: Any) -> Any:
        optional = {"token_ids", "logprobs", "reward", "id", "result"}
        return pa.struct([pa.field(n, t, nullable=n in optional) for n, t in types.items()])

    def list_of(kind: Any) -> Any:
        return pa.list_(pa.field("element", kind, nullable=False))

    text, whole, number = pa.string(), pa.int64(), pa.float64()
    call = struct(name=text, arguments=text, id=text, result=text)
    step = struct(
        action=text, observation=text, response=text, token_ids=list_of(whole),
        logprobs=list_of(number), reward=number, tool_calls=list_of(call), is_cut=pa.bool_(),
    )  # fmt: skip
    kinds = {"int": whole, "float": number, "str": text}
    origin = pa.struct([
        pa.field(f.name, kinds[str(f.type).split(" ")[0]], nullable="None" in str(f.type))
        for f in fields(Origin)
    ])  # fmt: skip
    columns = struct(
        task_id=text, prompt=list_of(struct(role=text, content=text)), steps=list_of(step),
        total_return=number, status=text, origin=origin, info=text,
    )  # fmt: skip
    return pa.schema(list(columns), metadata={_VERSION_KEY: VERSION})


def _row(i: int, trajectory: Trajectory) -> dict[str, Any]:
    if not isinstance(trajectory, Trajectory):
        kind = type(trajectory).__name__
        raise TypeError(f"trajectories[{i}] is {kind}; expected Trajectory")
    return {
        "task_id": trajectory.task_id,
        "prompt": [_fields(message) for message in trajectory.prompt],
        "steps": [
            _fields(step) | {"tool_calls": [_fields(call) for call in step.tool_calls]}
            for step in trajectory.steps
        ],
        "total_return": trajectory.total_return,
        "status": trajectory.status,
        "origin": _fields(trajectory.origin),
        "info": json.dumps(trajectory.info, separators=(",", ":"), allow_nan=False),
    }


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _batch(pa: Any, known: Any, rows: list[dict[str, Any]]) -> Any:
    """Raises for the first row that does not fit."""
    try:
        return pa.RecordBatch.from_pylist(rows, schema=known)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        if len(rows) > 1:
            for row in rows:
                _batch(pa, known, [row])
        reason = " ".join(str(error).split())
        raise InvalidInput(
            f"task {visible(repr(rows[0]['task_id']))}: a table cannot hold it "
            f"({visible(reason)}); write .jsonl"
        ) from None


def _step(record: dict[str, Any]) -> Step:
    calls = tuple(ToolCall(**call) for call in record["tool_calls"])
    return Step(**(record | {"tool_calls": calls}))
