"""The name of the file that a record is alone in: some formats name the task by nothing else."""

from __future__ import annotations

from pathlib import PurePath

_PACKINGS = (".gz", ".zst")


def name_of_file(where: str, *suffixes: str) -> str | None:
    """`marshmallow-1867` of `runs/marshmallow-1867.traj`, with `.traj` among the suffixes; None
    for a record that is one of several in its file, and for files of other suffixes."""
    name = PurePath(where).name
    for packing in _PACKINGS:
        name = name.removesuffix(packing)
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot + suffix.lower() in suffixes else None
