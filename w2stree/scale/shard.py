"""The runs of a shard, as its table has them, and the forest of them.

table ──> Records, places, what was in it twice ──> Forest, by columns
                          └─ runs made in Python where rows need their words, each with its place
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging
from w2stree.forest.openings import Openings
from w2stree.rows.columns import Sources
from w2stree.rows.worded import rendered
from w2stree.trajectories.files import Reading, warnings_of
from w2stree.trajectories.records import Records
from w2stree.trajectories.records_read import RecordsRead
from w2stree.trajectories.repeats import Repeats
from w2stree.trajectories.table_rows import RowPlaces, read_table
from w2stree.trajectories.trajectory import Trajectory


def shard_of(table: Any) -> Shard:
    """Reads the table (`table_rows.read_table`), and warns `RepeatedTrajectories` of what is in it
    twice, as reading files does."""
    repeats = Repeats()
    read = read_table(table, repeats)
    reading = Reading(
        read.records,
        {},
        (),
        read.places,
        0,
        repeats.repeated.count,
        repeats.repeated.first,
        repeats.alike.count,
        repeats.alike.first,
        repeats.differing.count,
        repeats.differing.first,
        (),
    )
    for message, kind in warnings_of(reading):
        warnings.warn(message, kind, stacklevel=3)
    return Shard(read, repeats.repeated.count)


class Shard:
    """All runs of some tasks."""

    def __init__(self, read: RecordsRead[RowPlaces], num_repeated: int) -> None:
        self.records: Records = read.records
        """Error rows too; what was there twice, once."""
        self.num_repeated = num_repeated
        self.num_errors = int(np.count_nonzero(read.records.is_error))
        self._played = read.records.played
        self._places = read.places.select(~read.records.is_error)
        # The run beside its place is held, so that its id stays its own.
        self._made: dict[int, tuple[Trajectory, str]] = {}

    @property
    def num_played(self) -> int:
        """Without error rows."""
        return len(self._played)

    def forest(self, merging: Merging | None, openings: Openings) -> Forest | None:
        """Of the runs that did not end in an error; None where there are none."""
        if not self.num_played:
            return None
        return build_forest(self.records, merging=merging, openings=openings)

    def worded_forest(
        self, merging: Merging | None, openings: Openings, *, render_actions: bool
    ) -> Forest | None:
        """The same with all runs made, each once: rows ask for them again and again."""
        grown = self.forest(merging, openings)
        if grown is None:
            return None
        runs = tuple(self.runs(range(self.num_played), render_actions=render_actions))
        return Forest(replace(grown.parts, trajectories=runs))

    def runs(self, numbers: Iterable[int], *, render_actions: bool) -> Iterator[Trajectory]:
        """Of those that were played, with `Action: …` where only the action is known."""
        for number in numbers:
            run = self._played[number]
            if render_actions:
                run = rendered(run)
            self._made[id(run)] = (run, self._places[number])
            yield run

    @property
    def sources(self) -> Sources | None:
        """Where runs that were made stand; None where the table does not say it, and rows say of
        them what their origin does."""
        return (lambda run: self._made[id(run)][1]) if self._places.are_named else None
