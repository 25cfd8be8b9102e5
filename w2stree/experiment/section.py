"""What every part of a configuration file shares: known keys only, values that stay.

A part that is used as it is (`Sampling`, `Optimisation`, …) is a frozen dataclass of its own room,
which pydantic checks as it checks a `Section`: there is no second class to copy it from.
"""

from __future__ import annotations

import os.path
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0, strict=True)]  # strict: `true` is no 1
Whole = Annotated[int, Field(ge=0, strict=True)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
UserPath = Annotated[Path, AfterValidator(lambda path: Path(os.path.expanduser(path)))]  # noqa: PTH111
"""A path, `~` in front of it the home directory: no shell has seen a configuration file."""
NameOrFile = Annotated[str, AfterValidator(os.path.expanduser)]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, values cannot change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shipped_in: ClassVar[str] = "configs"
    """The package's folder of files of this section, if it is a whole file."""


def laid_over(default: Any, given: Any) -> Any:
    """The keys given, and for the others the values of a dataclass; not yet checked."""
    return {**asdict(default), **given} if isinstance(given, dict) else given
