"""What runs a cell on a machine of a cluster: a process as on one machine, its events passed on.

    driver ── request ──> a task of Ray ── request ──> grid.worker
      <── {"host": …}, then what the process tells ──────┘

The process ends with the task's, whatever ends that. Nothing here knows Ray.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.grid.cell_process import LOGS, CellProcess
from w2stree.experiment.grid.shared_folder import SharedFolder
from w2stree.experiment.manifest import other_versions
from w2stree.experiment.run_lock import holding

_ENDING_S = 60.0
"""How long the process of a lost worker may take to end, or its driver's loss to be seen."""
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Place:
    """Where cells run, sent to each machine.

    `directory`: the driver's, which relative paths count from, where the machine has it. `versions`
    are those of the driver (`manifest.versions`). `prepare` sets what the packages of models read
    when they are imported. `num_threads`: of each cell.
    """

    directory: Path
    runs: SharedFolder
    versions: Mapping[str, str]
    num_threads: int
    prepare: Callable[[], None]


def look(place: Place) -> None:
    """Raises `RunDirectoryError` where this machine does not share the runs (`SharedFolder`), and
    `InvalidInput` where it has other versions of what results may depend on."""
    if place.directory.is_dir():
        os.chdir(place.directory)
    if other := other_versions({"versions": dict(place.versions)}):
        raise InvalidInput(
            f"{socket.gethostname()}: {other}: results would depend on where a cell runs; install "
            "the driver's versions there, or take the machine out of the cluster"
        )
    place.runs.refuse_other()


def run(place: Place, request: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Where it is, then what the process tells of the cell (`CellProcess.ask`). `name`: of its log.
    Raises as `look` does."""
    yield {"host": socket.gethostname()}
    look(place)
    place.prepare()
    _wait_for(Path(request["run_dir"]))
    process = CellProcess(place.runs.path / LOGS / f"{name}.log", place.num_threads)
    try:
        yield from process.ask(request)
    finally:
        process.stop()
        process.close()


def _wait_for(run_dir: Path) -> None:
    """Until nobody is in the run's directory. Who is still there after a while is no lost worker's:
    the cell will say so."""
    due = time.monotonic() + _ENDING_S
    while run_dir.is_dir() and time.monotonic() < due:
        with suppress(RunDirectoryError), holding(run_dir):
            return
        time.sleep(_LOOK_S)
