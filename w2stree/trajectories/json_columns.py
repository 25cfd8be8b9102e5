"""Files of JSON lines read into columns, by the core, where everything in them is certain.

    a.jsonl ──blocks of whole lines──> core ──> rows and columns ──repeats──> Records
                                        └ a line is not certain: None, and all of it is read line
                                          by line (`files`), which knows what to forgive and
                                          what to say

The core takes JSON to the letter whose every field is known, given once and of its type. What
else Python's road takes (halves of surrogate pairs, numbers beyond 64 bits, origins where 0.1.0
wrote them) costs that road's time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput, MissingDependency
from w2stree.trajectories.lines import read_blocks
from w2stree.trajectories.places import Places
from w2stree.trajectories.reading_limits import DEFAULT, ReadingLimits
from w2stree.trajectories.records import Records, StepColumns
from w2stree.trajectories.records_read import RecordsRead, counted_once
from w2stree.trajectories.repeats import Repeats
from w2stree.trajectories.trajectory import Trajectory


class Lines:
    """Lines of JSON as they were read: row i is `blocks[block[i]][begin[i] : end[i]]`.

    What is made of one is what `Trajectory.from_json` makes: the core has read it, and found that
    it can be.
    """

    __slots__ = ("_begin", "_block", "_blocks", "_end")

    def __init__(
        self,
        blocks: Sequence[bytes],
        block: NDArray[np.int32],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
    ) -> None:
        self._blocks, self._block, self._begin, self._end = blocks, block, begin, end

    def trajectories(self, rows: Sequence[int]) -> Iterator[Trajectory]:
        return map(_made, map(self._line, rows))

    def is_copy(self, one: int, other: int) -> bool:
        return self._line(one) == self._line(other)

    @property
    def num_bytes(self) -> int:
        return sum(map(len, self._blocks))

    def _line(self, row: int) -> bytes:
        block = self._blocks[int(self._block[row])]
        return block[int(self._begin[row]) : int(self._end[row])]


_DECODER: Any = msgspec.json.Decoder(Trajectory)


def _made(line: bytes) -> Trajectory:
    """msgspec does not see twice given keys and unknown fields; the core has. It knows no null for
    what is absent: such a line is read the long way."""
    try:
        made: Trajectory = _DECODER.decode(line)
    except msgspec.MsgspecError:
        return Trajectory.from_json(line.decode("utf-8"))
    return made


def read_columns(
    given: Sequence[Path], repeats: Repeats, limits: ReadingLimits = DEFAULT
) -> RecordsRead[Places] | None:
    """What is in files of JSON lines; None where that is not certain, or beyond the limits, and
    nothing is known then.

    `repeats` has to be new. Memory: the text, and 8 bytes a step with each text of actions and
    observations once. O(bytes).
    """
    files = tuple(given)
    if not all(file.is_file() and file.suffix.lower() != ".journal" for file in files):
        return None
    reader = _core.JsonReader()
    blocks: list[bytes] = []
    file_of_block: list[int] = []
    try:
        for number, file in enumerate(files):
            reader.begin_file()
            for text in read_blocks(file, limits=limits):
                if not reader.append(text):
                    return None
                blocks.append(text)
                file_of_block.append(number)
    except (InvalidInput, MissingDependency):
        return None
    rows, prompt_id, ids, texts = reader.finish()
    block, begin, end, line, is_error, key, gist = rows
    if not limits.hold(len(block), ids[2]):
        return None
    records = Records(
        Lines(blocks, block, begin, end),
        np.arange(len(block)),
        is_error.astype(bool),
        StepColumns(*ids, prompt_id, texts),
    )
    places = Places(files, np.array(file_of_block, np.int64)[block], line, "{}:{}")
    return counted_once(records, places, key, gist, repeats)
