"""Parameters that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="key.path=value, for example seed=1"),
]
RunDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="where results go (default: runs/<name>)", show_default=False),
]
