"""Ray as the engine: a task a call, and what Ray knows of lost workers and nodes.

Plain tasks, not Ray Data: a call needs no more than its arguments, leaves files, and returns
nothing, so that nothing of the runs lies in Ray's object store, whose size and spilling would
bound the input, and a lost task is tried again without what came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from w2stree.errors import EngineFailure, not_imported
from w2stree.rollouts.cluster.connection import connected
from w2stree.shorten import visible

try:
    import ray
except ModuleNotFoundError as error:
    raise not_imported(error, "ray", "--engine ray") from None

_RETRIES = 16
"""Of a call whose worker or node is lost. What is out of memory each time ends by it."""
_WAITING = 4
"""Calls that are handed to Ray for each of its cores."""


class RayEngine:
    """The cluster that this process is connected to."""

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        """As `Engine.calls`. Raises `EngineFailure` where a call is lost for good."""
        task = ray.remote(max_retries=_RETRIES, scheduling_strategy="SPREAD")(function)
        at_once = max(1, int(ray.cluster_resources().get("CPU", 1))) * _WAITING
        given = iter(arguments)
        pending = [task.remote(*one) for one in islice(given, at_once)]
        try:
            while pending:
                done, pending = ray.wait(pending)
                for call in done:
                    _result(call)
                    pending += [task.remote(*one) for one in islice(given, 1)]
                    yield
        finally:
            for call in pending:
                ray.cancel(call, force=True)


@contextmanager
def ray_engine(address: str | None) -> Iterator[RayEngine]:
    """Connected to Ray, as `connected` has it. Raises `EngineFailure` where nobody is there."""
    with connected(address):
        yield RayEngine()


def _result(call: Any) -> None:
    try:
        ray.get(call)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        raise (cause if isinstance(cause, Exception) else error) from None
    except ray.exceptions.RayError as error:
        raise EngineFailure(
            f"Ray lost a call {_RETRIES + 1} times; what is done stays, the same command goes on: "
            f"{visible(str(error))}"
        ) from None
