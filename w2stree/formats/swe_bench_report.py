"""What SWE-bench's evaluation says of an instance: `results.json`, beside SWE-agent's runs.

    run/results.json           {"resolved_ids": ["cup-1"], "unresolved_ids": ["lid-2"],
                                "empty_patch_ids": [], "error_ids": [], "completed_ids": […], …}
    run/cup-1/cup-1.traj       resolved
    run/lid-2/lid-2.traj       not
    run/pan-3/pan-3.traj       not evaluated: nothing is known of it

Source: github.com/SWE-agent/SWE-agent at 3ea751c, `sweagent/run/hooks/swe_bench_evaluate.py` (where
it stands) and `sweagent/run/compare_runs.py` (older reports say `resolved`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.json_text import parse_json

NAME = "results.json"

_RESOLVED = ("resolved_ids", "resolved")
_FAILED = ("error_ids",)
_NOT_RESOLVED = ("unresolved_ids", "empty_patch_ids", "completed_ids", "applied", "no_generation")


def verdict_on(instance_id: str, file: Path) -> dict[str, Any] | None:
    """`{"resolved": …}`, or `{"error": …}` where the evaluation itself failed, by the report in the
    run's folder or the one above; None where there is none, or it does not know the instance."""
    for folder in (file.parent, file.parent.parent):
        report = _report(folder / NAME)
        if report is None:
            continue
        if _names(report, _RESOLVED, instance_id):
            return {"resolved": True}
        if _names(report, _FAILED, instance_id):
            return {"error": "its evaluation ended in an error"}
        if _names(report, _NOT_RESOLVED, instance_id):
            return {"resolved": False}
    return None


def _names(report: Mapping[str, Any], keys: tuple[str, ...], instance_id: str) -> bool:
    return any(isinstance(ids := report.get(key), list) and instance_id in ids for key in keys)


def _report(file: Path) -> Mapping[str, Any] | None:
    try:
        status = file.stat()
        return _read(file, status.st_mtime_ns, status.st_size)
    except OSError:
        return None


@lru_cache(maxsize=4)
def _read(file: Path, changed_at: int, size: int) -> Mapping[str, Any] | None:
    """Once for all of a folder's runs; None for another tool's file of that name."""
    try:
        value = parse_json(file.read_bytes(), str(file))
    except InvalidInput:
        return None
    is_report = isinstance(value, dict) and any(isinstance(value.get(k), list) for k in _RESOLVED)
    return value if is_report else None
