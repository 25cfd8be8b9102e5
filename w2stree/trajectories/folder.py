"""Which files of a folder hold trajectories, and why the others are passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = tuple(
    ending + packing for ending in (".jsonl", ".ndjson") for packing in ("", ".gz", ".zst")
)
"""Of JSON lines, in small letters or capitals; a journal's is `.journal`."""

PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip", ".tar", ".tgz", ".7z")
_OF_A_TRAINING = ("manifest.json", "metrics.json")
_OF_A_RUN = ("config.json", "manifest.json", "tasks.json", "cluster.json", ".hashes.json", ".lock")


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something in a folder that was not read. `is_of_a_run`: as every run directory has it, its
    configuration for one, so that nobody need be told."""

    path: Path
    reason: str
    is_of_a_run: bool = False


def entries(
    folder: Path, *, recursive: bool, more: tuple[str, ...] = ()
) -> Iterator[Path | PassedOver]:
    """The files of a folder that hold trajectories, in name order, and everything else. `more`:
    other suffixes, in small letters, of files to be looked at.

    `recursive` goes into folders, at their place in that order; not into hidden ones and not
    through links. Of a file with several names (links) the first counts.
    """
    names: dict[tuple[int, int], Path] = {}
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        if here != folder and not here.is_dir():
            yield _classified(here, names, more)
        elif here == folder or (recursive and (reason := _why_not_within(here)) is None):
            waiting += sorted(here.iterdir(), reverse=True)
        else:
            reason = _why_not_within(here)
            yield PassedOver(here, reason or "a folder: read with recursive (--recursive)")


def holds_trajectories(folder: Path) -> bool:
    """Whether there is a file to read in the folder itself."""
    return any(isinstance(entry, Path) for entry in entries(folder, recursive=False))


def _why_not_within(folder: Path) -> str | None:
    if folder.name.startswith("."):
        return "a hidden folder"
    return "a link to a folder" if folder.is_symlink() else None


def _classified(
    path: Path, names: dict[tuple[int, int], Path], more: tuple[str, ...]
) -> Path | PassedOver:
    name = path.name.lower()
    if name.startswith("."):
        return PassedOver(path, "hidden", name in _OF_A_RUN or name.endswith((".owner", ".times")))
    if ".journal.damaged" in name:
        return PassedOver(path, "set aside when its journal was salvaged", is_of_a_run=True)
    if not path.is_file():
        return PassedOver(path, "no file" if path.exists() else "a link to nothing")
    if name in _OF_A_RUN or not name.endswith((".journal", *SUFFIXES, *more)):
        return PassedOver(path, _why_not(name), name in _OF_A_RUN)
    if name == "losses.jsonl" and any(path.with_name(n).exists() for n in _OF_A_TRAINING):
        return PassedOver(path, "what a training logged", is_of_a_run=True)
    status = path.stat()
    first = names.setdefault((status.st_dev, status.st_ino), path)
    return path if first is path else PassedOver(path, f"the same file as {first.name}")


def _why_not(name: str) -> str:
    if name.endswith(PACKED):
        return "packed, and not as .jsonl.gz or .jsonl.zst"
    return "no suffix of runs (.jsonl, .ndjson, .json, also .gz or .zst; .parquet, .journal, …)"
