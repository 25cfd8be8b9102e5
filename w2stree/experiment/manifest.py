"""A finished stage's manifest: how its files came about, and what they hold."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from w2stree.environments.kinds import KINDS
from w2stree.errors import RunDirectoryError
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.run_json import read_json
from w2stree.shorten import visible

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

_PACKAGES = ("w2stree", "numpy", "torch", "transformers", "trl", "peft")


def read_manifest(folder: Path, stage: str) -> dict[str, Any] | None:
    """The manifest in a stage's folder; None where there is none.

    Raises `RunDirectoryError` for one that is torn or none.
    """
    file = folder / MANIFEST
    if not file.is_file():
        return None
    remedy = f"put it back from a copy, or redo the stage with --force {stage}"
    record = read_json(file, remedy=remedy)
    if not is_manifest(record):
        raise RunDirectoryError(f"{visible(str(file))}: not a manifest; {remedy}")
    assert isinstance(record, dict)
    return record


def is_manifest(record: Any) -> bool:
    """Whether a value is a finished stage's manifest, of any version."""
    match record:
        case {"inputs": dict(), "outputs": dict(outputs)}:
            return all(isinstance(digest, str) for digest in outputs.values())
        case _:
            return False


@functools.cache
def versions() -> Mapping[str, str]:
    """Python's and those of the packages that a result may depend on."""
    found = {"python": platform.python_version()}
    for name in (*_PACKAGES, *(kind.package for kind in KINDS)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return MappingProxyType(found)


def other_versions(manifest: Mapping[str, Any]) -> str:
    """What made the stage and is another version here: "numpy 1.26.4 (here 2.1.0)"."""
    recorded = manifest.get("versions")
    return ", ".join(_other(recorded)) if isinstance(recorded, dict) else ""


def _other(recorded: Mapping[str, Any]) -> Iterator[str]:
    here = versions()
    for name, version in recorded.items():
        if version != here.get(name):
            yield visible(f"{name} {version} (here {here.get(name, 'none')})")


def peak_memory_mb() -> float:
    """Of this process until now. Linux says it without what the parent held when it forked, which
    getrusage begins with."""
    status = Path("/proc/self/status")
    told = status.read_text() if status.is_file() else ""
    if "VmHWM:" in told:
        return round(int(told.partition("VmHWM:")[2].split()[0]) / 1024, 1)
    assert resource is not None  # a run has the system's locks, and where these are it is
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)
