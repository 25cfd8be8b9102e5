"""How drivers are ended, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

WITHIN_S = 120.0
"""For the end of what was killed, however busy the machine is."""


def end(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    """Send a signal; Ctrl-C goes to the whole group, as in a terminal's foreground."""
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)


def left(look: Callable[[], list[T]], *, within_s: float = WITHIN_S) -> list[T]:
    """What `look` still finds after waiting at most so long for it to find nothing."""
    until = time.monotonic() + within_s
    while (found := look()) and time.monotonic() < until:
        time.sleep(0.01)
    return found
