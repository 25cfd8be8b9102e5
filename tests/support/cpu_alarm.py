"""A signal after so much computing: a busy machine computes more slowly, not more."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

_WITHIN_S = 0.5


class Stopped(BaseException):
    """What the alarm raises."""


def assert_an_alarm_stops(call: Callable[[], Any], *, after_s: float, num_threads: int = 1) -> None:
    """`call`, which would go on for seconds, ends when this process has computed for `after_s`
    or, in each of its threads, half a second more."""

    def stop(*_: object) -> NoReturn:
        raise Stopped

    previous = signal.signal(signal.SIGPROF, stop)
    try:
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, after_s)
        with pytest.raises(Stopped):
            call()
        assert time.process_time() - begin < after_s + num_threads * _WITHIN_S
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
