"""The messages of a batch of rows: of each run those that rows show, once, as numbers.

runs       0                1
messages   0 1 2 3 4 5      6 7 8 9 …     up to the last that a row shows
contents   0 1 2 3 4 5      0 1 2 6 …     equal texts are one
prompts    0 1 2 3 │ 6 7 8                of the rows, one after the other
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from w2stree.rows.chat import Passages, Record, chat_of, contents_of, roles_of, whole
from w2stree.trajectories.trajectory import Trajectory

Ints: TypeAlias = NDArray[np.int64]


class Numbered(NamedTuple):
    """A passage a row, as columns: its run's number in the batch, its messages [begin, end)."""

    runs: Ints
    begins: Ints
    ends: Ints


class BatchRuns:
    """The runs of a batch, in the order in which rows show them."""

    def __init__(self) -> None:
        self.runs: list[Trajectory] = []
        self.contents: list[list[str]] = []
        """What the messages of each say."""
        self._number: dict[int, int] = {}
        self._offset = array("q")
        self._before = array("q")  # characters before each message and in all, run by run

    def numbered(self, passages: Sequence[Passages]) -> list[Numbered]:
        """Passages of the same rows. Runs that are new are taken up."""
        of_list: dict[int, Ints] = {}  # prompts and chosen sides are of one list of runs
        for runs in (passage.runs for passage in passages):
            if id(runs) not in of_list:
                of_list[id(runs)] = np.fromiter(map(self._number_of, runs), np.int64, len(runs))
        return [
            Numbered(of_list[id(runs)], np.array(begins, np.int64), np.array(ends, np.int64))
            for runs, begins, ends in passages
        ]

    def _number_of(self, run: Trajectory) -> int:
        number = self._number.get(id(run))
        if number is None:
            number = self._number[id(run)] = len(self.runs)
            self.runs.append(run)
            self._offset.append(len(self._before))
            self.contents.append(contents_of(run))
            self._before.extend(accumulate(map(len, self.contents[-1]), initial=0))
        return number

    def num_characters(self, of: Numbered) -> Ints:
        """Of each row's messages."""
        before = np.frombuffer(self._before, np.int64)
        offset = np.frombuffer(self._offset, np.int64)[of.runs]
        found: Ints = before[offset + of.ends] - before[offset + of.begins]
        return found


class BatchMessages:
    """The messages that rows show."""

    def __init__(self, batch: BatchRuns, of_rows: Iterable[Numbered]) -> None:
        self._batch = batch
        ends = np.zeros(len(batch.runs), np.int64)
        for of in of_rows:
            np.maximum.at(ends, of.runs, of.ends)
        self._ends: list[int] = ends.tolist()
        self._first = np.cumsum(ends) - ends

    def ids(self, of: Numbered) -> tuple[Ints, NDArray[np.int32]]:
        """The numbers of the rows' messages, one after the other, and where each row begins."""
        lengths = of.ends - of.begins
        offsets = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        begins = self._first[of.runs] + of.begins - offsets[:-1]
        return np.arange(int(offsets[-1])) + np.repeat(begins, lengths), offsets

    def contents(self) -> tuple[Ints, list[str]]:
        """Of each message the number of its text, and the texts."""
        pairs = zip(self._batch.contents, self._ends, strict=True)
        return _distinct(texts[:end] for texts, end in pairs)

    def roles(self) -> tuple[Ints, list[str]]:
        """Likewise."""
        pairs = zip(self._batch.runs, self._ends, strict=True)
        return _distinct(roles_of(run)[:end] for run, end in pairs)

    def records(self) -> list[Record]:
        """The messages themselves."""
        pairs = zip(self._batch.runs, self._ends, strict=True)
        return [record for run, end in pairs for record in chat_of(run)[:end]]


class _Texts(dict[str, int]):
    """Numbers of texts; of those that are alike once they are whole it is one."""

    def __init__(self) -> None:
        self.whole: dict[str, int] = {}

    def __missing__(self, text: str) -> int:
        number = self[text] = self.whole.setdefault(whole(text), len(self.whole))
        return number


def _distinct(of_runs: Iterable[list[str]]) -> tuple[Ints, list[str]]:
    numbers = _Texts()
    found = array("q")
    for texts in of_runs:
        found.extend(map(numbers.__getitem__, texts))
    return np.array(found, np.int64), list(numbers.whole)
