"""The Arrow C data interface by ctypes: a producer of one's own, to do what no library does."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from typing import Any


class Schema(Structure):
    pass


class Array(Structure):
    pass


class Stream(Structure):
    pass


RELEASE_SCHEMA = CFUNCTYPE(None, POINTER(Schema))
RELEASE_ARRAY = CFUNCTYPE(None, POINTER(Array))
RELEASE_STREAM = CFUNCTYPE(None, POINTER(Stream))

Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(Schema))),
    ("dictionary", POINTER(Schema)),
    ("release", RELEASE_SCHEMA),
    ("private_data", c_void_p),
]
Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(Array))),
    ("dictionary", POINTER(Array)),
    ("release", RELEASE_ARRAY),
    ("private_data", c_void_p),
]
GET_SCHEMA = CFUNCTYPE(c_int, POINTER(Stream), POINTER(Schema))
GET_NEXT = CFUNCTYPE(c_int, POINTER(Stream), POINTER(Array))
GET_LAST_ERROR = CFUNCTYPE(c_void_p, POINTER(Stream))
Stream._fields_ = [
    ("get_schema", GET_SCHEMA),
    ("get_next", GET_NEXT),
    ("get_last_error", GET_LAST_ERROR),
    ("release", RELEASE_STREAM),
    ("private_data", c_void_p),
]

_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (c_void_p, c_char_p, c_void_p)
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = c_void_p, (ctypes.py_object, c_char_p)


def in_capsule(capsule: object, name: bytes, kind: type[Any]) -> Any:
    return kind.from_address(_pointer(capsule, name))


class Producer:
    """Wraps one batch of a library's, spoils it, and counts what is released of the copies."""

    def __init__(self, batch: Any, spoil: Callable[[Schema, Array], None] = lambda *_: None):
        self._kept = batch.__arrow_c_array__()
        self.schema = in_capsule(self._kept[0], b"arrow_schema", Schema)
        self.array = in_capsule(self._kept[1], b"arrow_array", Array)
        self.released: list[str] = []
        self._own = (Schema(), Array())
        for copy, source in zip(self._own, (self.schema, self.array), strict=True):
            ctypes.memmove(ctypes.byref(copy), ctypes.byref(source), ctypes.sizeof(source))
        self._release = (
            RELEASE_SCHEMA(lambda p: self._on_release("schema", p)),
            RELEASE_ARRAY(lambda p: self._on_release("array", p)),
        )
        for copy, release in zip(self._own, self._release, strict=True):
            copy.release = release
        spoil(*self._own)

    def _on_release(self, what: str, pointer: Any) -> None:
        self.released.append(what)
        pointer.contents.release = type(pointer.contents.release)()

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        schema, array = self._own
        return (
            _new(ctypes.addressof(schema), b"arrow_schema", None),
            _new(ctypes.addressof(array), b"arrow_array", None),
        )
