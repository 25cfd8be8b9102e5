"""What a signal does to a long call."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest


class Stopped(Exception):  # noqa: N818
    pass


def assert_a_signal_stops(call: Callable[[], Any]) -> None:
    """`call` would go on for a second or more; a signal's handler that raises ends it."""

    def stop(*_: object) -> None:
        raise Stopped

    previous = signal.signal(signal.SIGALRM, stop)
    try:
        begin = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Stopped):
            call()
        assert time.perf_counter() - begin < 0.5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
