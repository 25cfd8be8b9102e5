"""What a cell came to, in a file of its own: small, written whole, and all that the table needs.

    results/claims/
      twc_two/
        tasks-1f9c24a0b7d3.json          the panels' tasks in their order, once
        config-5d3c0aa1e0f2.json         a configuration that cells were run with, once
        base/seed-0/best_of_m.json       returns in that order, figures, hashes, times
        base/seed-1/tree_dpo.failed.json an error; gone once the cell is done
        base/seed-0/analysis-bias.json   an analysis's figures, with the same about their making
      table.md  summary.json  *.svg      made from these files alone

Two branches that ran other cells merge without conflict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.changes import changes, values
from w2stree.experiment.config import Config
from w2stree.experiment.config.reading import recorded_today
from w2stree.experiment.grid.asked import Asked, asked
from w2stree.experiment.grid.cells import Cell, Measurement, Unit
from w2stree.experiment.grid.record import CellRecord, MeasurementRecord, wrong_in
from w2stree.experiment.run_json import read_json
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing

FORMAT = 1

_REMEDY = "put it back from a copy, or delete it and run the experiment again"


@dataclass(frozen=True, slots=True)
class PanelResult:
    """How a cell did on one panel: a return for each task, NaN where its run ended in an error."""

    returns: NDArray[np.float64]
    num_errors: int
    mean_steps: float

    @property
    def scored(self) -> NDArray[np.float64]:
        """The returns, an error's as 0: a task without a finished run counts."""
        return np.nan_to_num(self.returns)


@dataclass(frozen=True, slots=True)
class Result:
    """A cell's file, checked."""

    record: Mapping[str, Any]
    path: Path

    @property
    def tasks(self) -> str:
        """The digest of the tasks that were played."""
        return str(self.record["tasks"])

    @property
    def threshold(self) -> float:
        return float(self.record["success_threshold"])

    def panel(self, name: str) -> PanelResult:
        """How the cell did there. Raises `RunDirectoryError` where the file has no such panel."""
        panel = self.record["panels"].get(name)
        if panel is None:
            raise RunDirectoryError(
                f"{visible(str(self.path))}: panels.{visible(name)}: is missing; {_REMEDY}"
            )
        returns = [np.nan if value is None else value for value in panel["returns"]]
        return PanelResult(
            np.array(returns, dtype=np.float64),
            panel["num_errors"],
            panel["mean_steps"],
        )

    def is_of(self, config: Config) -> bool:
        """Whether the cell would be run with the same values of all keys that its stages read."""
        return _is_of(self.record, self.path, config)

    def listed_tasks(self) -> Mapping[str, Any] | None:
        """The panels' tasks in their order, as `Results.write` takes them; None where their file is
        not there, or is another one."""
        file = _tasks_file(self.path.parents[2], self.tasks)
        listed = read_json(file, remedy=_REMEDY) if file.is_file() else None
        return listed if isinstance(listed, dict) and listed.get("tasks") == self.tasks else None


@dataclass(frozen=True, slots=True)
class Measured:
    """An analysis's file, checked; `asked` is what the experiment asks for today."""

    record: Mapping[str, Any]
    path: Path
    asked: Asked

    @property
    def numbers(self) -> Mapping[str, Mapping[str, float | None]]:
        """What the table is made of, by row and column."""
        numbers: Mapping[str, Mapping[str, float | None]] = self.record["numbers"]
        return numbers

    def is_of(self, config: Config) -> bool:
        """Whether the same would be measured, with the same values of all keys that its stages
        read. A setting that there was not yet counts with its default."""
        try:
            then = asked(self.asked.name, self.record["asked"])
        except InvalidInput:  # with settings that are none today
            return False
        is_same = then.record == self.asked.record
        return is_same and _is_of(self.record, self.path, config)


def _is_of(record: Mapping[str, Any], path: Path, config: Config) -> bool:
    """Whether all keys that were read have the values of a record.

    A key that there was not yet counts with its default, as in a run directory. Files outside,
    which keys name, are not looked at: a run does that."""
    reads = record["reads"]
    if digest_read(config, reads) == record["config_read"]:
        return True
    file = _config_file(path.parents[2], str(record.get("config")))
    if not file.is_file():
        return False
    try:
        then = recorded_today(config)(read_json(file, remedy=_REMEDY))
    except InvalidInput:  # with keys that are none today
        return False
    now = config.model_dump(mode="json")
    return not changes(then, now, of=reads, but=config.may_change())


@dataclass(frozen=True, slots=True)
class Results:
    """The folder of one experiment's results."""

    folder: Path

    def file(self, unit: Unit) -> Path:
        return self._of(unit, ".json")

    def failure_file(self, unit: Unit) -> Path:
        return self._of(unit, ".failed.json")

    @overload
    def read(self, unit: Cell) -> Result | None: ...
    @overload
    def read(self, unit: Measurement) -> Measured | None: ...

    def read(self, unit: Unit) -> Result | Measured | None:
        """A cell's result, or an analysis's; None where there is none. `RunDirectoryError` for a
        torn file, one that holds what no such file does, and one of another cell or analysis."""
        path = self.file(unit)
        if not path.is_file():
            return None
        record = read_json(path, remedy=_REMEDY)
        where, is_cell = visible(str(path)), isinstance(unit, Cell)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            whose = "a cell's" if is_cell else "an analysis's"
            raise RunDirectoryError(f"{where}: not {whose} result of this version; {_REMEDY}")
        if wrong := wrong_in(record, CellRecord if is_cell else MeasurementRecord):
            raise RunDirectoryError(f"{where}: {wrong}; {_REMEDY}")
        labels = _labels(unit)
        if any(record[key] != label for key, label in labels.items()):
            world, variant, seed, name = (record[key] for key in labels)
            other = f"{world} {variant} seed {seed} {name}"
            raise RunDirectoryError(
                f"{where}: is the result of {visible(other)}, and lies where that of {unit} "
                f"does; {_REMEDY}"
            )
        match unit:
            case Cell():
                return Result(record, path)
            case Measurement():
                return Measured(record, path, unit.asked)

    def failure(self, unit: Unit) -> str | None:
        """What a cell or an analysis failed with, at the last try; None where it did not."""
        path = self.failure_file(unit)
        if not path.is_file():
            return None
        record = read_json(path, remedy=_REMEDY)
        return str(record["error"]) if isinstance(record, dict) and "error" in record else "?"

    def write(self, cell: Cell, record: Mapping[str, Any], tasks: Mapping[str, Any]) -> Path:
        """A cell's result, and the tasks that it names if their file is not there yet."""
        listed = _tasks_file(self.folder / cell.world, record["tasks"])
        if not listed.is_file():
            listed.parent.mkdir(parents=True, exist_ok=True)
            _write(listed, tasks)
        return self._write(cell, record)

    def write_measured(self, measurement: Measurement, record: Mapping[str, Any]) -> Path:
        """An analysis's result."""
        return self._write(measurement, record)

    def _write(self, unit: Unit, record: Mapping[str, Any]) -> Path:
        path = self.file(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = {"format": FORMAT, **_labels(unit)}
        _write(path, {**labels, **record, **labels})  # in front, and not another unit's
        self.failure_file(unit).unlink(missing_ok=True)
        return path

    def keep_config(self, unit: Unit, config: Config) -> None:
        """What a cell is run with, beside its result: whether that counts is asked of it when
        there are other keys than today."""
        record = config.record()
        file = _config_file(self.folder / unit.world, digest(record))
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, record)

    def write_failure(self, unit: Unit, error: str) -> None:
        """That it failed. An earlier result stays."""
        path = self.failure_file(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, {"format": FORMAT, "error": error})

    def _of(self, unit: Unit, ending: str) -> Path:
        place = self.folder / unit.world / unit.variant / f"seed-{unit.seed}"
        return place / f"{unit.name}{ending}"


def _labels(unit: Unit) -> dict[str, Any]:
    """What a file says of whose it is."""
    place = {"world": unit.world, "variant": unit.variant, "seed": unit.seed}
    match unit:
        case Cell(method=method):
            return {**place, "method": method}
        case Measurement(asked=Asked(name=name)):
            return {**place, "name": name}


def _tasks_file(world: Path, hashed: str) -> Path:
    return world / f"tasks-{hashed}.json"


def _config_file(world: Path, hashed: str) -> Path:
    return world / f"config-{hashed}.json"


def digest_read(config: Config, reads: list[str]) -> str:
    """Of the values that a configuration has at keys."""
    record = config.model_dump(mode="json")
    return digest(values(record, of=reads, but=config.may_change()))


def made_from(config: Config, world: Config, reads: list[str]) -> dict[str, Any]:
    """Of the configuration: what tells whether a result still counts, and the keys that are
    another than in the world's own file."""
    return {
        "changes": {c.key: c.now for c in changes(world.record(), config.record())},
        "seeds": dict(config.seeds),
        "config": digest(config.record()),
        "reads": reads,
        "config_read": digest_read(config, reads),
    }


def digest(value: Any) -> str:
    """Twelve hexadecimal digits of what JSON would be."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """A key a line, a panel and a stage too: what changes is seen in a diff, and files stay
    short."""
    with replacing(path) as file:
        file.write("\n".join(_lines(record)) + "\n")


def _lines(record: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    yield "{"
    inside = f"{indent}  "
    for number, (key, value) in enumerate(record.items(), start=1):
        comma = "," if number < len(record) else ""
        name = f"{inside}{json.dumps(key)}: "
        if key in ("panels", "stages", "numbers") and isinstance(value, Mapping) and value:
            first, *others = _lines(value, inside)
            yield f"{name}{first}"
            *others, last = others
            yield from others
            yield f"{last}{comma}"
        else:
            yield f"{name}{json.dumps(value, default=str)}{comma}"
    yield f"{indent}}}"
