"""What a cell's file holds, or an analysis's, checked before a number of it counts: results come by
merges and copies, and are data whatever is in them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from w2stree.experiment.config.complaints import complaints
from w2stree.experiment.section import Positive, Whole
from w2stree.shorten import visible

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Return = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e-9, le=1 + 1e-9)]
Figure = Annotated[float, Field(strict=True)]  # NaN of a training that diverged


class _Read(BaseModel):
    """What the table reads; whatever else a file has stays as it is."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Panel(_Read):
    num_tasks: Positive
    num_errors: Whole
    num_successes: Number
    mean_steps: Number
    returns: list[Return | None]

    @model_validator(mode="after")
    def _one_of_each_task(self) -> _Panel:
        if len(self.returns) != self.num_tasks:
            raise ValueError(f"returns has {len(self.returns)}; num_tasks is {self.num_tasks}")
        return self


class _Dev(_Read):
    avg_reward: Number


class _Stage(_Read):
    seconds: Number | None = None


class _UnitRecord(_Read):
    world: str
    variant: str
    seed: Whole
    reads: Annotated[list[str], Field(min_length=1)]
    config_read: str
    stages: dict[str, _Stage]
    versions: dict[str, Any]
    seconds: Number


class CellRecord(_UnitRecord):
    """A cell's file."""

    method: str
    tasks: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    taken_from: str | None = None
    success_threshold: Number
    panels: Annotated[dict[str, _Panel], Field(min_length=1)]
    dev: _Dev | None = None
    training: dict[str, Figure]


class MeasurementRecord(_UnitRecord):
    """An analysis's file; its table is of `numbers`, by row and column."""

    name: str
    asked: dict[str, Any]
    numbers: Annotated[dict[str, dict[str, Number | None]], Field(min_length=1)]


def wrong_in(record: Any, kind: type[_UnitRecord] = CellRecord) -> str:
    """What is wrong with a cell's file, or an analysis's, with the key; "" where nothing is."""
    try:
        kind.model_validate(record)
    except ValidationError as error:
        return visible(complaints(error, kind)[0])
    return ""
