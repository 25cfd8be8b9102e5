"""A factory on its way to an environment's process, which does not import the user's script.

What a module defines goes by name and is imported there. What none defines (the script or the
notebook itself, a lambda, a closure) goes by value, with the globals that it uses: cloudpickle.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any

from w2stree.errors import InvalidInput


def name_of(factory: Callable[[], Any]) -> str:
    """A function's, a class's, or that of what a `functools.partial` calls."""
    return str(getattr(getattr(factory, "func", factory), "__name__", "environment"))


def pickled(factory: Callable[[], Any]) -> bytes:
    """Raises `InvalidInput` for one that cannot be sent, with the fix."""
    try:
        import cloudpickle
    except ImportError:
        return _by_name(factory)
    try:
        return bytes(cloudpickle.dumps(factory))
    except Exception as error:  # whatever the pickling of some object raises
        raise InvalidInput(
            f"{name_of(factory)} cannot be sent to a process ({error}); put it into a module of "
            "its own and import it from there, or make what it holds inside it"
        ) from None


def _by_name(factory: Callable[[], Any]) -> bytes:
    buffer = io.BytesIO()
    try:
        _ByName(buffer, pickle.HIGHEST_PROTOCOL).dump(factory)
    except Exception as error:
        raise InvalidInput(
            f"{name_of(factory)} cannot be sent to a process ({error}); pip install cloudpickle, "
            "or put it into a module of its own and import it from there"
        ) from None
    return buffer.getvalue()


class _ByName(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Refuses what would be looked for in the main script, which the process does not have."""
        if isinstance(value, type | FunctionType) and value.__module__ == "__main__":
            raise pickle.PicklingError(f"{value.__qualname__} is defined in the main script")
        return NotImplemented
