"""The environment of a configuration: the options of one of the kinds there are."""

from __future__ import annotations

from dataclasses import fields
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from w2stree.environments.kinds import KINDS
from w2stree.environments.options import Options
from w2stree.experiment.section import laid_over

_LIMITS = {
    kind.name: field.default
    for kind in KINDS
    for field in fields(kind.options)
    if field.name == "limits"
}


def _with_the_kinds_limits(record: Any) -> Any:
    """Limits that are not given are the kind's, not those of `Limits`."""
    if not isinstance(record, dict) or "limits" not in record:
        return record
    default = _LIMITS.get(str(record.get("name")))
    if default is None:
        return record
    return {**record, "limits": laid_over(default, record["limits"])}


if TYPE_CHECKING:
    EnvironmentSection = Options
else:  # the union is made from the table, so a new kind needs no line here
    EnvironmentSection = Annotated[
        Annotated[reduce(or_, (kind.options for kind in KINDS)), Field(discriminator="name")],
        BeforeValidator(_with_the_kinds_limits),
    ]
