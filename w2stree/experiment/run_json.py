"""The JSON files of a run: read with the reason where one is torn, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.replacing import replacing


def read_json(path: Path, *, remedy: str = "put it back from a copy") -> Any:
    """The value in a file of a run, NaN among its figures too.

    `RunDirectoryError` where there is none to be had, with `remedy`, which must not cost what
    else lies there.
    """
    where = visible(str(path))
    try:
        return parse_json(path.read_bytes(), where, with_nan=True)
    except OSError as error:
        reason = f"{where}: {error.strerror or error}"
    except InvalidInput as error:
        reason = str(error)
    raise RunDirectoryError(f"{reason}; {remedy}")


def write_json(path: Path, value: Any) -> None:
    """Pretty JSON, all or nothing, on the disk when this returns (`replacing`)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if not text.isascii() and text != text.encode(errors="replace").decode():
        text = json.dumps(value, indent=2, default=str)  # halves of characters: as escapes
    with replacing(path) as file:
        file.write(text + "\n")
