"""What a folder of buckets holds, in one file that is written last.

DIR/bucket=0000/trees.forest
    bucket=0002/trees.forest        a bucket without tasks has no folder
    manifest.json                   all is there, and this is what it is

A folder without a manifest is unfinished, or none of ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.forest.task_buckets import HASH
from w2stree.shorten import visible
from w2stree.trajectories.json_text import parse_json
from w2stree.trajectories.replacing import replacing

NAME = "manifest.json"
FOREST_FILE = "trees.forest"
_FORMAT, _VERSION = "w2stree.buckets", 1


@dataclass(frozen=True, slots=True)
class BucketManifest:
    """A finished folder of buckets.

    `kind`: what each bucket's file holds: forests, pairs, paths, runs or statistics. `digest`: of
    all of it, equal for any number of buckets. `counts`: totals. `settings`: what was asked for.
    `buckets`: of each bucket that has something its number (`bucket`), and where there is a file
    `file`, relative to the folder, its `bytes`, its `digest`, and counts.
    """

    kind: str
    num_buckets: int
    digest: str
    counts: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    buckets: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """All or nothing (`replacing`)."""
        record = {
            "format": _FORMAT,
            "version": _VERSION,
            "kind": self.kind,
            "num_buckets": self.num_buckets,
            "hash": HASH,
            "digest": self.digest,
            "counts": self.counts,
            "settings": self.settings,
            "buckets": self.buckets,
        }
        with replacing(folder / NAME) as file:
            file.write(json.dumps(record, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> BucketManifest:
        """Raises `InvalidInput` naming the file where there is none, where it is none of ours or of
        another version."""
        refuse_unfinished(folder)
        path = folder / NAME
        where = visible(str(path))
        record = parse_json(path.read_text(encoding="utf-8"), where)
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            raise InvalidInput(f"{where}: no manifest of buckets; make the folder again")
        if record.get("version") != _VERSION or record.get("hash") != HASH:
            raise InvalidInput(
                f"{where}: version {record.get('version')!r} of our buckets, and this w2stree "
                f"reads {_VERSION}: use a later one, or make the folder again"
            )
        try:
            found = cls(**{name: record[name] for name in cls.__slots__})
            files = [entry["file"] for entry in found.buckets if "file" in entry]
            if any(Path(file).is_absolute() or ".." in Path(file).parts for file in files):
                raise ValueError("a file that is not in the folder")
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{where}: damaged ({error}); make the folder again") from None
        return found


def is_bucket_folder(path: Path) -> bool:
    """Whether it holds buckets, finished or not. Nothing is read."""
    return path.is_dir() and any(path.glob("bucket=*"))


def holds_forests(path: Path) -> bool:
    """Whether it is a finished folder of forests. Raises as `BucketManifest.read`."""
    is_finished = is_bucket_folder(path) and (path / NAME).is_file()
    return is_finished and BucketManifest.read(path).kind == "forests"


def refuse_unfinished(folder: Path) -> None:
    """Raises `InvalidInput` where the manifest, which is written last, is not there."""
    if not (folder / NAME).is_file():
        raise InvalidInput(
            f"{visible(str(folder))}: holds buckets and no {NAME}: it was not finished; give the "
            "same command again, which goes on where it was"
        )
