"""What a source is called: the path it was added by, as `tar` keeps it.

logs/a.jsonl  ./logs/a.jsonl       logs/a.jsonl
/data/logs/a.jsonl  ../logs/a.jsonl   data/logs/a.jsonl  logs/a.jsonl    within the store's own
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from w2stree.errors import InvalidInput, StoreError
from w2stree.shorten import quoted

_SHOWN_COLUMNS = 200


def name_of(path: Path) -> str:
    """Raises `InvalidInput` for a path that is no text in UTF-8, or leads nowhere."""
    parts = [part for part in path.parts if part not in (path.anchor, ".", "..", "")]
    name = "/".join(parts)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{quoted(str(path), _SHOWN_COLUMNS)}: this name is no UTF-8: rename the file"
        ) from None
    if not name:
        raise InvalidInput(f"{quoted(str(path), _SHOWN_COLUMNS)}: no name of a file")
    return name


def path_within(folder: Path, name: str) -> Path:
    """Where a source goes below a folder. Raises `StoreError` for a name that leads out of it,
    which no store of ours has."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or {"..", "."} & set(name.split("/")) or "\0" in name:
        raise StoreError(
            f"{quoted(name, _SHOWN_COLUMNS)}: a name that leads out of the folder: the catalogue "
            "was altered; nothing is written there"
        )
    return folder.joinpath(*path.parts)


def older_name(name: str, digest: bytes) -> str:
    """Of a source whose name a newer one has: runs.jsonl becomes runs.1f2e3d4c.jsonl."""
    path = PurePosixPath(name)
    stem, dot, rest = path.name.partition(".")
    if not stem:  # a hidden file
        stem, dot, rest = path.name, "", ""
    renamed = f"{stem}.{digest.hex()[:8]}{dot}{rest}"
    return (path.parent / renamed).as_posix()
