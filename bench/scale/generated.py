"""Runs of any number of steps as Parquet files, streamed: a block of tasks, again and again.

A block is 20 tasks of 20 runs of 25 steps, of which 41 % are shared; an answer has some 150
characters. Each block's tasks, prompts and answers begin with its number, so that no text of one
is a text of another; actions recur. A file is 100 blocks, a million steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.tables import schema, write_table
from w2stree.trajectories.trajectory import Message, Step, Trajectory

Order = Literal["tasks", "shuffled"]
"""Of the rows of a file: task after task, or as they come."""

_TASKS, _RUNS, _STEPS = 20, 20, 25
STEPS_OF_A_BLOCK = _TASKS * _RUNS * _STEPS
_BLOCKS_OF_A_FILE = 100
_ROWS_OF_A_GROUP = 4_000  # about as many as our own writer's


def make_input(folder: Path, num_steps: int, order: Order) -> None:
    """So many steps, up to whole blocks; files that are there already are left. Memory: a file."""
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / ".block.parquet"
    write_table(made, _block(Random(0)))
    block = pq.read_table(made).combine_chunks()
    made.unlink()
    numbers = range(-(-num_steps // STEPS_OF_A_BLOCK))
    for begin in numbers[::_BLOCKS_OF_A_FILE]:
        path = folder / f"runs-{begin // _BLOCKS_OF_A_FILE:05}.parquet"
        if not path.exists():
            _write(path, block, numbers[begin : begin + _BLOCKS_OF_A_FILE], order)


def _write(path: Path, block: Any, numbers: range, order: Order) -> None:
    table = pa.concat_tables([_numbered(block, number) for number in numbers]).combine_chunks()
    if order == "shuffled":
        table = table.take(np.random.default_rng(numbers[0]).permutation(table.num_rows))
    with (
        replacing(path, "wb") as file,
        pq.ParquetWriter(file, schema(pa), compression="zstd") as writer,
    ):
        writer.write_table(table, row_group_size=_ROWS_OF_A_GROUP)


def _numbered(block: Any, number: int) -> Any:
    """The block with its number before each task's name, prompt and answer."""
    names = pc.binary_join_element_wise(str(number), block["task_id"].chunk(0), "/")
    table = block.set_column(0, block.schema.field("task_id"), names)
    for column, text in (("prompt", "content"), ("steps", "observation")):
        place = table.schema.get_field_index(column)
        texts = _with_number(table.column(place).chunk(0), text, number)
        table = table.set_column(place, table.schema.field(place), texts)
    return table


def _with_number(lists: Any, name: str, number: int) -> Any:
    records = lists.values
    fields = list(records.type)
    children = [records.field(i) for i in range(len(fields))]
    place = records.type.get_field_index(name)
    children[place] = pc.binary_join_element_wise(str(number), children[place], " ")
    made = pa.StructArray.from_arrays(children, fields=fields)
    return pa.ListArray.from_arrays(lists.offsets, made, type=lists.type)


def _block(random: Random) -> Iterator[Trajectory]:
    words = [f"word{i}" for i in range(2_000)]
    for task in range(_TASKS):
        prompt = (Message("user", f"Task {task}: " + " ".join(random.choices(words, k=30))),)
        paths: list[list[Step]] = [[]]
        for run in range(_RUNS):
            steps = random.choice(paths)[: random.randint(0, _STEPS)]
            steps = steps + [_step(random, words) for _ in range(_STEPS - len(steps))]
            paths.append(steps)
            yield Trajectory(f"{task}", prompt, tuple(steps), run / _RUNS, "done")


def _step(random: Random, words: list[str]) -> Step:
    action = " ".join(random.choices(words, k=2))
    return Step(action, " ".join(random.choices(words, k=20)), f"I think.\nAction: {action}")
