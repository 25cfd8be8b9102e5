"""A signal after so much computing: a busy machine computes more slowly, not more."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

_WITHIN_S = 1.5  # a busy sibling core and a sanitizer each make computing dearer by half and more


class Stopped(BaseException):
    """What the alarm raises."""


def assert_an_alarm_stops(
    call: Callable[[], Any], *, after_s: float, num_threads: int = 1, within_s: float = _WITHIN_S
) -> None:
    """`call`, which would go on for longer, ends when this process has computed for `after_s`
    or, in each of its threads, `within_s` more."""

    def stop(*_: object) -> NoReturn:
        raise Stopped

    previous = signal.signal(signal.SIGPROF, stop)
    try:
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, after_s)
        with pytest.raises(Stopped):
            call()
        assert time.process_time() - begin < after_s + num_threads * within_s
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
