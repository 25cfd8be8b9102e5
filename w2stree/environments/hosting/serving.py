"""An environment answering requests, in its own process."""

from __future__ import annotations

import contextlib
import pickle
import socket
from typing import Any

from w2stree.environments.hosting.messages import (
    USER_ERRORS,
    Channel,
    MalformedMessage,
    decode,
    encode,
)
from w2stree.environments.hosting.replay import with_snapshots
from w2stree.environments.protocol import Snapshot, SnapshotEnvironment
from w2stree.errors import EnvironmentFailure, InvalidInput, MissingDependency
from w2stree.shorten import excerpt


def serve(end: socket.socket) -> None:
    """Make the environment that the first message has the factory of, and carry out requests,
    until the driver hangs up."""
    channel = Channel(end)
    environment: SnapshotEnvironment | None = None
    # A closed pipe means that the driver is done with us, or dead: nobody is left to tell.
    with contextlib.suppress(EOFError, OSError):
        pickled = channel.receive()
        try:
            environment = _made(pickled)
        except Exception as error:
            channel.send(_error(error))
            return
        channel.send(encode(["ok", None]))
        while True:
            method, arguments = decode(channel.receive())
            channel.send(_answer(environment, method, arguments))
    if environment is not None:
        environment.close()


def _made(pickled: bytes) -> SnapshotEnvironment:
    try:
        factory = pickle.loads(pickled)
    except (ImportError, AttributeError) as error:
        if isinstance(error, InvalidInput | MissingDependency):
            raise
        raise InvalidInput(
            f"what makes the environment cannot be loaded in its process ({_text(error)}); "
            "modules are looked for on the driver's sys.path"
        ) from None
    return with_snapshots(factory())


def _answer(environment: SnapshotEnvironment, method: str, arguments: list[Any]) -> bytes:
    if method == "restore":
        given = arguments[0]
        actions, observations = tuple(given["actions"]), tuple(given["observations"])
        arguments = [Snapshot(given["task_id"], actions, observations)]
    try:
        answer = getattr(environment, method)(*arguments)
    except Exception as error:
        return _error(error)
    try:
        return encode(["ok", answer])
    except MalformedMessage as error:
        return _error(EnvironmentFailure(f"what {method} returned cannot be sent: {error}"))


def _error(error: Exception) -> bytes:
    """The name of a user's error, else "failure"; and its text, head and tail of a long one."""
    names = (name for name, kind in USER_ERRORS.items() if isinstance(error, kind))
    return encode(["error", next(names, "failure"), excerpt(_text(error))])


def _text(error: Exception) -> str:
    is_ours = isinstance(error, EnvironmentFailure | InvalidInput | MissingDependency)
    kind = "" if is_ours else f"{type(error).__name__}: "
    try:
        return f"{kind}{error}"
    except Exception:  # its own `__str__` fails
        return f"{kind}(its text cannot be had)"
