"""Our own records, wherever they stand: as rows of a table, or as items of one JSON text.

    {"task_id": "t1", "prompt": […], "steps": […], "total_return": 1.0, "status": "done", …}

Source: `w2stree.trajectories.trajectory`. In JSON lines and journals they are read by
`w2stree.trajectories.files`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.format import Format
from w2stree.formats.reader import Reader, Record
from w2stree.trajectories.trajectory import Trajectory

_FIELDS = {"task_id", "prompt", "steps", "total_return", "status"}
_ENOUGH = 3  # of them: what is missing or wrong is then told


def recognises(record: Any) -> bool:
    return isinstance(record, Mapping) and len(_FIELDS & record.keys()) >= _ENOUGH


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    run, choices = Trajectory.of_record(record, where=where), reader.choices
    if choices.prompt is not None or choices.action is not None:
        raise InvalidInput(
            f"{where}: a record of ours says which is its prompt and what its actions are: leave "
            "prompt= and action= out"
        )
    if choices.reward is not None:
        run = replace(run, total_return=reader.reward(record, where, (), status=run.status))
    if choices.task is not None:
        run = replace(run, task_id=reader.task_id(record, where, (), run.prompt))
    yield run


def record_of(trajectory: Trajectory) -> Record:
    record: Record = json.loads(trajectory.to_json())
    return record


FORMAT = Format(
    name="w2stree",
    title="w2stree's own",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
)
