"""Who holds a lock, as it says of itself for the message of who comes second.

{"pid": 4242, "host": "gpu7", "since": "2026-11-26T08:00:00+00:00"}
"""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime

from w2stree.errors import InvalidInput
from w2stree.shorten import shorten
from w2stree.trajectories.json_text import parse_json

MAX_BYTES = 4096
"""Of a record that is read."""

_SHOWN_COLUMNS = 200


def this_process() -> str:
    """A line of JSON."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    return f"{json.dumps(record)}\n"


def described(record: bytes) -> str:
    """Such a line in words; "another process" for whatever else it is."""
    try:
        read = parse_json(record, "the owner")
        told = f"process {read['pid']} on {read['host']} since {read['since']}"
    except (InvalidInput, KeyError, TypeError):
        return "another process"
    return shorten(told, _SHOWN_COLUMNS)
