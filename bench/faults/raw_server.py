"""A server over real sockets that answers as told, byte by byte: what a behaviour is made of."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

PATIENCE_S = 120.0
"""Longer than anybody waits; a behaviour that hangs does so until its server is closed."""


@dataclass(slots=True)
class Talk:
    """One connection on which a request has come, the `number`-th of its name: `/NAME/v1/…`.

    `num_sent` counts the bytes that were written before the other side hung up.
    """

    connection: socket.socket
    is_closing: threading.Event
    head: str = ""
    body: bytes = b""
    number: int = 0
    num_sent: int = 0

    @property
    def port(self) -> int:
        return int(self.connection.getsockname()[1])

    @property
    def authorization(self) -> str:
        """The header of that name, as the client sent it."""
        lines = [line.partition(": ") for line in self.head.splitlines()]
        return next((value for name, _, value in lines if name.lower() == "authorization"), "")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)
        self.num_sent += len(data)

    def answer(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        """A whole response, by the rules; a header given replaces the one of its name."""
        given = {header.partition(":")[0].lower() for header in headers}
        usual = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        kept = [line for line in usual if line.partition(":")[0].lower() not in given]
        self.send(
            "\r\n".join((f"HTTP/1.1 {status}", *kept, *headers, "", "")).encode("latin-1") + body
        )

    def hang(self) -> None:
        self.is_closing.wait(PATIENCE_S)

    def drip(self, data: bytes, every_s: float = 0.05) -> None:
        """Write `data` again and again, slowly, until somebody hangs up."""
        while not self.is_closing.wait(every_s):
            self.send(data)

    def flood(self, data: bytes) -> None:
        while not self.is_closing.is_set():
            self.send(data)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Behaviour = Callable[[Talk], None]


@dataclass
class RawServer:
    """Answers `/NAME/…` as the behaviour of that name does, in a thread for each connection.

    Without a request to read (`reads=False`) the only behaviour is asked at once.
    """

    behaviours: dict[str, Behaviour]
    reads: bool = True
    num_sent: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._numbers: Counter[str] = Counter()
        self._lock, self._is_closing = threading.Lock(), threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._listener.close()

    def url(self, name: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{name}/v1"

    def _accept(self) -> None:
        while not self._is_closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        talk, name = Talk(connection, self._is_closing), next(iter(self.behaviours))
        with connection, suppress(OSError):
            if self.reads:
                talk.head, talk.body = _request(connection)
                name = talk.head.split("/")[1]
            with self._lock:
                talk.number = self._numbers[name]
                self._numbers[name] += 1
            try:
                self.behaviours[name](talk)
            finally:
                with self._lock:
                    self.num_sent[name] = max(self.num_sent[name], talk.num_sent)


def _request(connection: socket.socket) -> tuple[str, bytes]:
    """Head and body of a request."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            raise ConnectionError("no request")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    lengths = [
        line.split(":")[1] for line in text.splitlines() if line.lower()[:15] == "content-length:"
    ]
    while len(body) < int(lengths[0]):
        if not (more := connection.recv(65536)):
            raise ConnectionError("half a request")
        body += more
    return text, body


def reply(content: Any = "Action: go", **choice: Any) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "finish_reason": "stop", "message": message, **choice}]
    return {"id": "1", "object": "chat.completion", "choices": choices}


def encoded(record: Any) -> bytes:
    return json.dumps(record).encode()


GOOD = encoded(reply())
