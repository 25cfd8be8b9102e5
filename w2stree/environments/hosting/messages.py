"""What goes through the pipe between driver and environment: data, never code.

    driver ──["step", ["open door"]]──────────────────────────────────────> child
           <──["ok", ["The door is open.", 0.5, false, false, {…}]]────────
           <──["error", "InvalidInput", "split is 'tset'; …"]──────────────

A message is its length, 8 bytes, then MessagePack, by msgspec: what JSON could not say (NaN, bytes)
arrives as what it is, so that the driver can name it; so does half a surrogate pair, which UTF-8
has not: such a text is an extension. A thousand actions pass faster than by pickle, which would
run a game's code in the driver. The driver reads at most `MAX_BYTES` of a message; decoded, each
of them takes 80 bytes of memory at most.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from msgspec import DecodeError
from msgspec.msgpack import Decoder, Encoder, Ext

from w2stree.environments.hosting.guarded import wait_for
from w2stree.errors import Error, InvalidInput, MissingDependency

MAX_BYTES = 16 * 2**20

# By name; raised by the driver as themselves: the user's mistakes, no environment's failure.
USER_ERRORS: dict[str, type[Error]] = {
    "InvalidInput": InvalidInput,
    "MissingDependency": MissingDependency,
}

_HALVES = 1  # the type of that extension
_HEAD = struct.Struct(">Q")
_CHUNK = 2**16


class MalformedMessage(Exception):  # noqa: N818 (it is no error of ours)
    """What came is no message, or is beyond the limits; its text says what."""


class Channel:
    """One end of a socket pair that carries messages. Not for two threads at once."""

    def __init__(self, end: socket.socket, max_bytes: int | None = None) -> None:
        end.setblocking(False)
        self._end, self._max_bytes = end, max_bytes
        self._received = bytearray()

    def send(self, payload: bytes, due: float = float("inf")) -> None:
        """Raises `TimeoutError` where the other end does not take it before the time `due`, and
        another `OSError` where that is gone."""
        left = memoryview(_HEAD.pack(len(payload)) + payload)
        while left:
            try:
                left = left[self._end.send(left) :]
            except BlockingIOError:
                if not wait_for(self._end, select.POLLOUT, due):
                    raise TimeoutError from None

    def receive(self, due: float = float("inf")) -> bytes:
        """The next message, whole. Raises `TimeoutError` where it is not there at the time `due`,
        `EOFError` or an `OSError` where the other end is gone, `MalformedMessage` where it is
        longer than `max_bytes`."""
        while (payload := self._whole()) is None:
            if not wait_for(self._end, select.POLLIN, due):
                raise TimeoutError
            if not (chunk := self._end.recv(_CHUNK)):
                raise EOFError
            self._received += chunk
        return payload

    def _whole(self) -> bytes | None:
        """The message that has come, None as long as a part of it is missing."""
        received = self._received
        if len(received) < _HEAD.size:
            return None
        (size,) = _HEAD.unpack_from(received)
        if self._max_bytes is not None and size > self._max_bytes:
            raise MalformedMessage(_too_long(size))
        end = _HEAD.size + size
        if len(received) < end:
            return None
        payload = bytes(received[_HEAD.size : end])
        del received[:end]
        return payload


def encode(message: list[Any]) -> bytes:
    """Raises `MalformedMessage` for what no message can carry, saying where in its last part it is
    and of which type, and for one longer than `MAX_BYTES`. NumPy's numbers go as Python's; sets as
    sorted lists; `ExpertTurn` and `Snapshot` as dicts of their fields."""
    try:
        try:
            payload = _encoder.encode(message)
        except UnicodeEncodeError:
            payload = _encoder.encode(_with_halves(message))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise MalformedMessage(f"{_odd_place(message[-1])}: {_why(error)}") from None
    if len(payload) > MAX_BYTES:
        raise MalformedMessage(_too_long(len(payload)))
    return payload


def decode(payload: bytes) -> Any:
    """Plain values: None, bool, int, float, str, bytes, list and dict. Raises
    `MalformedMessage`."""
    try:
        return _decoder.decode(payload)
    except (DecodeError, ValueError, RecursionError, MemoryError) as error:
        raise MalformedMessage(str(error)) from None


def _plain(value: Any) -> Any:
    """What the encoder does not know, as what it is: subclasses, and the scalars of NumPy, which is
    loaded if there are any."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__int__(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        own = value.item()
        if isinstance(own, bool | int | float | str | bytes):
            return own
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise TypeError(f"{name} is no data: none of text, number, truth, None, list, tuple, dict")


def _with_halves(value: Any) -> Any:
    """The same with every text that UTF-8 cannot write as an extension."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, str) and not _is_utf8(value):
        return Ext(_HALVES, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return {key: _with_halves(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_halves(part) for part in value]
    return value


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _extension(code: int, data: memoryview) -> str:
    if code != _HALVES:
        raise ValueError(f"an extension of type {code}, which is none of ours")
    return bytes(data).decode("utf-8", "surrogatepass")


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "half a surrogate pair in a key"
    if "Only dicts with str keys" in str(error):  # an option of the encoder, which nobody knows
        return "a dict with keys that are no text"
    return str(error)


def _odd_place(value: Any, place: str = "it") -> str:
    """Where in a value the first part is that cannot be encoded: it[4]['score']."""
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list | tuple):
        parts = enumerate(value)
    for key, part in parts:
        try:
            _encoder.encode(part)
        except RecursionError:
            break  # a circle has no first place
        except (TypeError, ValueError, OverflowError):
            return _odd_place(part, f"{place}[{key!r}]")
    return place


def _too_long(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB; at most {MAX_BYTES >> 20}"


_encoder = Encoder(enc_hook=_plain, order="deterministic")
_decoder = Decoder(ext_hook=_extension)
