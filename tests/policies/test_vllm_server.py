"""The wrapper around a vLLM server, with a stand-in: nothing of it is left, whatever ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.faults.starts import MARK, marked_left

STAND_IN = f"""#!{sys.executable}
import http.server, os, pathlib, signal, subprocess, sys
model = sys.argv[sys.argv.index("--model") + 1]
port = int(sys.argv[sys.argv.index("--port") + 1])
if model == "early":
    sys.exit("no such model: early")
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
worker = "import time; time.sleep(600)"  # ignores them too, as the engine it was forked from
workers = [subprocess.Popen([sys.executable, "-c", worker]) for _ in range(2)]
if model == "never":
    signal.pause()

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        if model == "dies":
            print("out of memory", flush=True)
            os._exit(7)

http.server.HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="looks for what is left in /proc"
)


@contextmanager
def wrapper(folder: Path, model: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The wrapper with a stand-in, and the mark of all it starts."""
    python = folder / "python"
    python.write_text(STAND_IN, encoding="utf-8")
    python.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "bench.policies.vllm_server", str(python), model]
    command += ["--port", str(port), "--log", str(folder / "log"), "--grace-s", "1", *options]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, mark
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_the_end_of_the_wrapper_is_the_server_s(number: signal.Signals, tmp_path: Path) -> None:
    with wrapper(tmp_path, "deaf") as (process, mark):
        assert process.stdout
        assert "serves deaf" in process.stdout.readline()
        assert len(marked_left(mark, within_s=0.0)) >= 5  # wrapper, guardian, server, two workers
        process.send_signal(number)
        process.wait(timeout=120)
        assert marked_left(mark) == []
        expected = {signal.SIGINT: 0, signal.SIGKILL: -signal.SIGKILL}
        assert process.returncode == expected.get(number, 128 + number)


def test_the_wrapper_may_be_killed_while_the_server_starts(tmp_path: Path) -> None:
    with wrapper(tmp_path, "never") as (process, mark):
        until = time.monotonic() + 120
        while len(marked_left(mark, within_s=0.0)) < 5 and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
        process.wait()
        assert marked_left(mark) == []


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("early", (), "the vLLM server ended with status 1; .*no such model: early"),
        ("dies", (), "the vLLM server ended with status 7; .*out of memory"),
        ("never", ("--start-deadline-s", "1"), "the vLLM server does not answer within 1 s; "),
    ],
)
def test_a_server_that_is_dead_ends_the_wrapper_with_its_cause(
    model: str, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    with wrapper(tmp_path, model, *options) as (process, mark):
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 1
        assert re.match(said, stderr, re.DOTALL), stderr
        assert marked_left(mark) == []
