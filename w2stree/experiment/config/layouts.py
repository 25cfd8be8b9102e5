"""Keys that have moved: a file that is written is told where to, a recorded one is read on."""

from __future__ import annotations

import copy
from typing import Any

from w2stree.errors import InvalidInput

_LIMITS = ("deadline_s", "start_deadline_s", "memory_limit_mb", "max_episodes")

MOVED = {
    "prompt.thought": "decoding.thought",
    "tasks.demonstrations_from": "demonstrations",
    "policy.thought": "policy.decoding.thought",
    **{f"environment.{name}": f"environment.limits.{name}" for name in _LIMITS},
}

DRAWN = "is gone: tasks are drawn by tasks.seed, and no two of a run open alike; leave it out"
GONE = {"tasks.test_offset": DRAWN, "tasks.first": DRAWN}
"""Keys without a successor, and why: a recorded run that has one is not gone on with."""


def todays_layout(record: Any) -> Any:
    """A recorded configuration with every key where it stands today; not yet checked.

    A value that is no record, or that stands where a moved key should go, is left as it is. A
    guard that is gone goes where it did nothing, in a rule without similarity. Raises
    `InvalidInput` for nesting that no configuration has.
    """
    try:
        record = copy.deepcopy(record)
    except RecursionError:
        raise InvalidInput("the configuration is nested too deep to be one") from None
    for before, now in MOVED.items():
        *section, name = before.split(".")
        place = _descend(record, section)
        if isinstance(place, dict) and name in place:
            *section, name = now.split(".")
            target = _descend(record, section, make=True)
            if isinstance(target, dict) and name not in target:
                target[name] = place.pop(before.rpartition(".")[2])
    merge = _descend(record, ["merge"])
    if isinstance(merge, dict) and not merge.get("embed") and merge.get("guard") == "state_words":
        del merge["guard"]
    return record


def _descend(record: Any, keys: list[str], *, make: bool = False) -> Any:
    for key in keys:
        if not isinstance(record, dict):
            return None
        record = record.setdefault(key, {}) if make else record.get(key)
    return record
