"""The JSON files of a run: read with the reason where one is torn, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from w2stree.errors import RunDirectoryError
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing


def read_json(path: Path, *, remedy: str = "put it back from a copy") -> Any:
    """The value in a file of a run.

    `RunDirectoryError` where there is none to be had, with `remedy`, which must not cost what
    else lies there.
    """
    try:
        text = path.read_bytes()
        if not text.strip():
            raise ValueError("empty")
        return json.loads(text.decode())
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 (byte {error.start})"
    except json.JSONDecodeError as error:
        reason = f"not valid JSON ({error.msg}, line {error.lineno})"
    except RecursionError:
        reason = "nested too deep"
    except ValueError as error:
        reason = str(error)
    raise RunDirectoryError(f"{visible(str(path))}: {visible(reason)}; {remedy}")


def write_json(path: Path, value: Any) -> None:
    """Pretty JSON, all or nothing, on the disk when this returns (`replacing`)."""
    with replacing(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
