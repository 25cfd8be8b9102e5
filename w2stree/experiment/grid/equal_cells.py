"""A cell whose result is there under another name: of another variant, or another experiment.

    results/claims/twc_two/base/seed-3/best_of_m.json
       |  the same values at all keys that its stages read
       v
    results/stitching/twc_two/seen/seed-3/best_of_m.json    "taken_from": "claims/twc_two/base"

It counts as one in the experiment's own folder does: by its configuration, whoever ran it. What
was itself taken is not taken again: a result that is deleted, to be made anew, does not come back
from its copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from glob import escape
from typing import Any

from w2stree.errors import RunDirectoryError
from w2stree.experiment.config import Config
from w2stree.experiment.grid.cells import Cell
from w2stree.experiment.grid.results import Result, Results, made_from
from w2stree.shorten import visible

TAKEN_FROM = "taken_from"


def take_equal(results: Results, cell: Cell, config: Config, world: Config) -> Result | None:
    """Write the result of an equal cell as this one's: the first by experiment and variant, among
    those in the folder beside `results`, itself included. None where there is none.

    What cannot be read there is passed over: that experiment's own table says what is wrong.
    """
    if (equal := next(_equal(results, cell, config), None)) is None:
        return None
    name, found, tasks = equal
    making = made_from(config, world, found.record["reads"])
    results.write(cell, {**found.record, **making, TAKEN_FROM: name}, tasks)
    return results.read(cell)


def _equal(
    results: Results, cell: Cell, config: Config
) -> Iterator[tuple[str, Result, Mapping[str, Any]]]:
    """Results of the same world, seed and method that were run, where they are, and their tasks."""
    experiments = results.folder.parent
    for variant in sorted(experiments.glob(f"*/{escape(cell.world)}/*/")):
        other = Results(variant.parents[1])
        try:
            found = other.read(replace(cell, variant=variant.name))
            if found is None or TAKEN_FROM in found.record or not found.is_of(config):
                continue
            if (tasks := found.listed_tasks()) is not None:
                yield visible(variant.relative_to(experiments).as_posix()), found, tasks
        except RunDirectoryError:
            continue
