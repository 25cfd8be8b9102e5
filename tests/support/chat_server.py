"""A small real chat server that answers as told, and the OpenAI-compatible policy that asks it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from support.asynchronous import HANG_S

from w2stree.policies.openai import OpenAIPolicy
from w2stree.policies.protocol import Episode, Sampling
from w2stree.trajectories.trajectory import Message
from w2stree.turns.turn import AgentTurn

Answer = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """Answers the n-th request as the n-th answer of the server says, the last one for ever."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(body)
            self.server.headers.append(dict(self.headers))
        answers = self.server.answers
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has given up waiting
            answers[min(number, len(answers) - 1)](self, body)

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests, self.lock = answers, [], threading.Lock()
        self.headers: list[dict[str, str]] = []
        self.is_closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def reply(text: str | None = "Action: east", **choice: Any) -> bytes:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message, **choice}]
    return json.dumps({"id": "1", "object": "chat.completion", "choices": choices}).encode()


def says(text: str, **choice: Any) -> Answer:
    return lambda handler, body: handler.send(reply(text, **choice))


def status(code: int, **headers: str) -> Answer:
    return lambda handler, body: handler.send(b'{"error": {"message": "no"}}', code, **headers)


def sends(body: bytes) -> Answer:
    return lambda handler, _: handler.send(body)


good = says("Thought: home.\nAction: east")


def policy(server: Server | str, **settings: Any) -> OpenAIPolicy:
    url = server if isinstance(server, str) else server.url
    return OpenAIPolicy("m", base_url=url, **{"max_retries": 1, "timeout_s": HANG_S, **settings})


def ask(agent: OpenAIPolicy, *contents: str) -> list[AgentTurn]:
    """One turn of an episode for each content, one after the other on one event loop."""

    async def turns() -> list[AgentTurn]:
        try:
            return [await agent.turn(episode(content)) for content in contents or ("go",)]
        finally:
            await agent.close()

    return asyncio.run(turns())


def episode(content: str = "go", actions: tuple[str, ...] = ("east", "west")) -> Episode:
    prompt = (Message("user", content),)
    return Episode(0, prompt, Sampling(0.7, 0.9), np.random.default_rng(0), list(actions))
