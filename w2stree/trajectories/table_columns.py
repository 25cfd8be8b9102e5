"""Tables of ours (`tables`) read into columns.

    steps.action ──dictionaries──> core ──> ids and texts ──┐
    prompt, origin, status ──> ids, keys, errors ──repeats──┴──> Records

The file stays in memory as it is, packed; rows are made of it when they are asked for, a group of
some thousand unpacked at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.shorten import visible
from w2stree.trajectories.fields import shown
from w2stree.trajectories.lines import Skip
from w2stree.trajectories.places import Places
from w2stree.trajectories.reading_limits import DEFAULT, ReadingLimits
from w2stree.trajectories.records import Records, Source, StepColumns
from w2stree.trajectories.records_read import (
    AnyPlaces,
    P,
    RecordsRead,
    counted_once,
    may_be_repeats,
)
from w2stree.trajectories.repeats import Repeats
from w2stree.trajectories.tables import check_schema, damage_told, pyarrow_for, trajectory_of
from w2stree.trajectories.trajectory import STATUSES, Trajectory

_MADE_AT_ONCE = 256
_UNPACKED = 2  # groups of rows
_STEP, _MESSAGE = "steps.list.element", "prompt.list.element"
_IDS = (f"{_STEP}.action", f"{_STEP}.observation", f"{_MESSAGE}.role", f"{_MESSAGE}.content")
_DICTIONARIES = [*_IDS, f"{_STEP}.response"]
_OF_A_TREE = ("task_id", "total_return", "status", "origin", *_IDS)
_SAMPLE = ("seed", "sample_index")
_SAMPLED = ("attempt", "policy", "model", "temperature", "top_p")


def read_tables(
    files: Sequence[Path], repeats: Repeats, limits: ReadingLimits = DEFAULT
) -> RecordsRead[Places] | None:
    """The trajectories in files of ours, in columns; None where they are beyond the limits.
    `repeats` has to be new.

    A row is looked at in full when its trajectory is made: `InvalidInput` then tells what is wrong
    with one that another program wrote. Raises `InvalidInput` for a damaged file, one of another
    version or schema, nulls, and a status that there is not; `MissingDependency`; `OSError`.
    O(bytes) of the columns that a tree is built of, and O(num_trajectories) in Python.
    """
    source = Tables(files)
    pa, _ = pyarrow_for(files[0])
    batches: list[Any] = []
    file_of_row, number = [], []
    for file in range(len(files)):
        read = list(source.batches_of(file, *_OF_A_TREE))
        num_rows = sum(batch.num_rows for batch in read)
        file_of_row.append(np.full(num_rows, file, np.int64))
        number.append(np.arange(1, num_rows + 1))
        batches += read
    places = Places(tuple(files), np.concatenate(file_of_row), np.concatenate(number), "{}: row {}")
    return records_in(pa, source, batches, places, repeats, limits)


class Batched(Source, Protocol):
    """A source whose columns can be had in batches of rows."""

    def batches(self, *columns: str) -> Iterator[Any]: ...


def records_in(
    pa: Any,
    source: Batched,
    batches: Sequence[Any],
    places: P,
    repeats: Repeats,
    limits: ReadingLimits | None = None,
) -> RecordsRead[P] | None:
    """Those of a source whose columns that a tree is built of are `batches`, of all its rows; None
    where they are beyond limits, where those are given."""
    is_error = _is_error(batches, places)
    records = Records(source, np.arange(len(is_error)), is_error, _columns(pa, batches, is_error))
    if limits is not None and not limits.hold(len(records), records.columns.step_offset):
        return None
    key = _keys(pa, batches)
    return counted_once(records, places, key, _gists(pa, source, batches, key), repeats)


def rows_of(file: Path, skip: Skip | None = None) -> Iterator[tuple[Trajectory, str]]:
    """Each trajectory in a file of ours with its place; raises as `read_tables` does, but that with
    `skip` a row which is none is left out."""
    source = Tables([file])
    for begin in range(0, source.num_rows, _MADE_AT_ONCE):
        rows = range(begin, min(begin + _MADE_AT_ONCE, source.num_rows))
        try:
            made = list(zip(source.trajectories(rows), rows, strict=True))
        except InvalidInput:
            if skip is None:
                raise
            made = list(_one_by_one(source, rows, skip))
        for trajectory, row in made:
            yield trajectory, _place(file, row + 1)


def _one_by_one(source: Tables, rows: range, skip: Skip) -> Iterator[tuple[Trajectory, int]]:
    for row in rows:
        try:
            yield next(source.trajectories([row])), row
        except InvalidInput as error:
            skip(str(error))


class Tables:
    """Files of ours as they were read, and the rows of all of them, one file after another."""

    __slots__ = ("_begin", "_data", "_files", "_group", "_unpacked", "num_rows")

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._data = [file.read_bytes() for file in files]
        self._begin: list[int] = []  # of each group its first row,
        self._group: list[tuple[int, int]] = []  # its file and its number there
        row = 0
        for number, file in enumerate(files):
            pa, _ = pyarrow_for(file)
            with damage_told(pa, file):
                opened = self._open(number)
                check_schema(file, opened.schema_arrow)
            for group in range(opened.metadata.num_row_groups):
                self._begin.append(row)
                self._group.append((number, group))
                row += opened.metadata.row_group(group).num_rows
        self.num_rows = row
        self._unpacked: dict[int, Any] = {}  # the groups that were asked for last

    def trajectories(self, rows: Sequence[int]) -> Iterator[Trajectory]:
        begin = 0
        while begin < len(rows):
            group = self._group_of(rows[begin])
            end_of_group = self._begin[group + 1] if group + 1 < len(self._begin) else None
            end = begin + 1
            while (
                end < min(len(rows), begin + _MADE_AT_ONCE)
                and rows[end] == rows[end - 1] + 1
                and rows[end] != end_of_group
            ):
                end += 1
            yield from self._made(rows[begin], end - begin)
            begin = end

    def is_copy(self, one: int, other: int) -> bool:
        return bool(self._slice(one, 1).equals(self._slice(other, 1)))

    @property
    def num_bytes(self) -> int:
        return sum(map(len, self._data))

    def batches(self, *columns: str) -> Iterator[Any]:
        """Some columns of all files, in batches of rows."""
        for file in range(len(self._files)):
            yield from self.batches_of(file, *columns)

    def batches_of(self, file: int, *columns: str) -> Iterator[Any]:
        """Texts are dictionaries where pyarrow can: it does not put nested ones together, of which
        one group of rows may have several."""
        pa, _ = pyarrow_for(self._files[file])
        with damage_told(pa, self._files[file]):
            with_dictionaries = self._open(file, read_dictionary=_DICTIONARIES)
            plain = self._open(file)
            for group in range(plain.metadata.num_row_groups):
                try:
                    read = with_dictionaries.read_row_group(group, columns=columns)
                    yield from read.to_batches()
                except pa.ArrowNotImplementedError:
                    yield from plain.iter_batches(
                        _MADE_AT_ONCE, row_groups=[group], columns=columns
                    )

    def _open(self, file: int, **options: Any) -> Any:
        pa, pq = pyarrow_for(self._files[file])
        return pq.ParquetFile(pa.BufferReader(self._data[file]), **options)

    def _made(self, first: int, count: int) -> Iterator[Trajectory]:
        """Of rows of one group."""
        file, _ = self._group[self._group_of(first)]
        before = self._begin[self._group.index((file, 0))]  # rows of other files
        for i, row in enumerate(self._slice(first, count).to_pylist()):
            yield trajectory_of(row, _place(self._files[file], first - before + i + 1))

    def _group_of(self, row: int) -> int:
        return bisect_right(self._begin, row) - 1

    def _slice(self, first: int, count: int) -> Any:
        """Whole rows of one group."""
        group = self._group_of(first)
        if group not in self._unpacked:
            file, within = self._group[group]
            pa, _ = pyarrow_for(self._files[file])
            if len(self._unpacked) == _UNPACKED:
                self._unpacked.pop(next(iter(self._unpacked)))
            with damage_told(pa, self._files[file]):
                self._unpacked[group] = self._open(file).read_row_group(within)
        return self._unpacked[group].slice(first - self._begin[group], count)


def _place(file: Path, number: int) -> str:
    return f"{visible(str(file))}: row {number}"


def _is_error(batches: Iterable[Any], places: AnyPlaces) -> NDArray[np.bool_]:
    statuses = [status for batch in batches for status in batch.column("status").to_pylist()]
    if not set(statuses) <= set(STATUSES):
        wrong = next(i for i, status in enumerate(statuses) if status not in STATUSES)
        raise InvalidInput(
            f"{places[wrong]}: status is {shown(statuses[wrong])}; use one of {STATUSES}"
        )
    return np.array([status == "error" for status in statuses], np.bool_)


def _columns(pa: Any, batches: Sequence[Any], is_error: NDArray[np.bool_]) -> StepColumns:
    played, begin = [], 0
    for batch in batches:
        kept = ~is_error[begin : begin + batch.num_rows]
        begin += batch.num_rows
        played.append(batch if kept.all() else batch.filter(pa.array(kept)))
    ids, texts = _interned(pa, played, "steps", "action", "observation")
    prompt, _ = _interned(pa, played, "prompt", "role", "content")
    action_id, observation_id, step_offset, tree_id, total_return = ids
    return StepColumns(
        action_id=action_id,
        observation_id=observation_id,
        step_offset=step_offset,
        tree_id=tree_id,
        total_return=total_return,
        prompt_id=_prompt_ids(*prompt[:3]),
        texts=texts,
    )


def _interned(pa: Any, batches: Sequence[Any], column: str, one: str, other: str) -> Any:
    """The ids of two texts of each element of a column of lists, by the core: (ids, texts)."""
    names = ["task_id", "total_return", "actions", "observations"]
    tables = []
    for batch in batches:
        lists = batch.column(column)
        values = lists.values
        kind = pa.LargeListArray if pa.types.is_large_list(lists.type) else pa.ListArray
        texts = [kind.from_arrays(lists.offsets, values.field(n)) for n in (one, other)]
        columns = [batch.column("task_id"), batch.column("total_return"), *texts]
        tables.append(pa.Table.from_arrays(columns, names))
    if not tables:
        text = pa.list_(pa.string())
        types = [pa.string(), pa.float64(), text, text]
        tables = [pa.Table.from_arrays([pa.array([], kind) for kind in types], names)]
    return _core.read_arrow_stream(pa.concat_tables(tables).__arrow_c_stream__())


def _prompt_ids(
    role: NDArray[np.int32], content: NDArray[np.int32], offset: NDArray[np.int64]
) -> NDArray[np.int32]:
    """`[num_trajectories]` equal where prompts are."""
    length = np.diff(offset)
    _, first, ids = np.unique(
        Steps(offset).hashed(role, content), return_index=True, return_inverse=True
    )
    # Two prompts may have one hash: each is compared with the first of its own.
    if (length == length[first][ids]).all():
        within = np.arange(offset[-1]) - np.repeat(offset[:-1], length)
        other = np.repeat(offset[:-1][first][ids], length) + within
        if (role == role[other]).all() and (content == content[other]).all():
            return ids.astype(np.int32)
    messages = np.stack([role, content], axis=1)
    known: dict[bytes, int] = {}
    prompts = (messages[begin:end].tobytes() for begin, end in pairwise(offset.tolist()))
    return np.array([known.setdefault(prompt, len(known)) for prompt in prompts], np.int32)


def _keys(pa: Any, batches: Sequence[Any]) -> NDArray[np.int32]:
    """`[num_rows]` equal where task, seed, sample, attempt, player and sampling are; -1 without a
    seed or a sample."""
    if not batches:
        return np.empty(0, np.int32)
    columns = [_numbers(pa, [batch.column("task_id") for batch in batches])]
    is_known = np.True_
    for name in (*_SAMPLE, *_SAMPLED):
        pieces = [batch.column("origin").field(name) for batch in batches]
        is_null = pa.chunked_array(pieces).is_null().to_numpy()
        columns += [_numbers(pa, pieces), is_null]
        if name in _SAMPLE:
            is_known = is_known & ~is_null
    _, first, ids = np.unique(_mixed(*columns), return_index=True, return_inverse=True)
    if not all((column == column[first][ids]).all() for column in columns):  # one hash of two
        known: dict[tuple[Any, ...], int] = {}
        rows = zip(*(column.tolist() for column in columns), strict=True)
        ids = np.array([known.setdefault(row, len(known)) for row in rows])
    return np.where(is_known, ids, -1).astype(np.int32)


def _numbers(pa: Any, pieces: Sequence[Any]) -> NDArray[np.int64]:
    """A column as numbers that are equal where its values are; nulls are any number."""
    column = pa.concat_arrays(pieces)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        numbers: NDArray[Any] = column.dictionary_encode().indices.fill_null(0).to_numpy()
        return numbers.astype(np.int64)
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    return numbers if numbers.dtype == np.int64 else (numbers + 0.0).view(np.int64)


def _gists(
    pa: Any, source: Batched, batches: Sequence[Any], key: NDArray[np.int32]
) -> NDArray[np.uint64]:
    """`[num_rows]` equal where task, return, status and steps are, responses among them: those are
    fetched where other steps do not tell rows without a key apart."""
    if (key >= 0).all():
        return np.zeros(len(key), np.uint64)
    ids, _ = _interned(pa, batches, "steps", "action", "observation")
    action, observation, step_offset, tree, total_return = ids
    ended = [
        STATUSES.index(status) for batch in batches for status in batch.column("status").to_pylist()
    ]
    steps = Steps(step_offset)
    returns = (total_return + 0.0).view(np.uint64)
    gist = _mixed(steps.hashed(action, observation), tree, returns, np.array(ended))
    if not may_be_repeats(key, gist)[key < 0].any():
        return gist
    read = list(source.batches(f"{_STEP}.response", "task_id", "total_return"))
    (response, _, offset, _, _), _ = _interned(pa, read, "steps", "response", "response")
    return _mixed(gist, Steps(offset).hashed(response))


class Steps:
    """Of many trajectories: hashes of what each step has."""

    def __init__(self, offset: NDArray[np.int64]) -> None:
        self._offset = offset

    def hashed(self, *columns: NDArray[np.int32]) -> NDArray[np.uint64]:
        """`[num_trajectories]` equal where all steps have equal ids, in order."""
        begin = np.repeat(self._offset[:-1], np.diff(self._offset))
        steps = _mixed(np.arange(len(begin)) - begin, *columns)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(steps, dtype=np.uint64)])
        return np.diff(sums[self._offset])


def _mixed(*words: NDArray[Any]) -> NDArray[np.uint64]:
    """By the finalizer of splitmix64, one word after the other."""
    x = np.zeros(len(words[0]), np.uint64)
    for word in words:
        x = x * np.uint64(0x9E3779B97F4A7C15) ^ word.astype(np.uint64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(31)
    return x
