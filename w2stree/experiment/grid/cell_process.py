"""A process that runs cells (`grid.worker`), seen from the one that started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from w2stree.shorten import visible

_WORKER = "w2stree.experiment.grid.worker"
_LAST_CHARACTERS = 2_000  # of a log

LOGS = ".logs"
"""Among the run directories: what the packages of workers print."""


class CellProcess:
    """Started for the first cell, again where it has died. It ends with the process that started
    it, whatever ends that."""

    def __init__(self, log: Path, num_threads: int) -> None:
        self._log, self._num_threads = log, num_threads
        self._process: subprocess.Popen[str] | None = None
        self._events: IO[str] | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """What it tells of a cell as it runs it. The last is `record`, of a cell with `tasks`, or
        `error`, or `lost` where the process died. Raises `KeyboardInterrupt` once it is stopped."""
        process, events = self._started()
        assert process.stdin is not None
        with suppress(OSError):  # it has died: the end of its events says so
            process.stdin.write(f"{json.dumps(request)}\n")
            process.stdin.flush()
        for line in iter(events.readline, ""):
            if not line.endswith("\n"):  # it died in the middle of it
                break
            event: dict[str, Any] = json.loads(line)
            yield event
            if "record" in event or "error" in event:
                return
        status = process.wait()
        if self._is_stopped:
            raise KeyboardInterrupt
        self.close()
        yield {"lost": f"its process ended with status {status}; {self._last_words()}"}

    def stop(self) -> None:
        """End the process; what it was making goes on with the next call. Who waits for what it
        tells sees the end of that."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        """Once nobody waits for what it tells any more."""
        with self._lock:
            process, events, self._process, self._events = self._process, self._events, None, None
        for stream in (events, None if process is None else process.stdin):
            if stream is not None:
                with suppress(OSError):  # a half-written request to a process that has died
                    stream.close()

    def _started(self) -> tuple[subprocess.Popen[str], IO[str]]:
        with self._lock:
            if self._is_stopped:
                raise KeyboardInterrupt
            if self._process is None or self._events is None:
                reading, writing = os.pipe()
                self._events = os.fdopen(reading, encoding="utf-8")
                try:
                    self._process = self._start(writing)
                finally:
                    os.close(writing)
            return self._process, self._events

    def _start(self, writing: int) -> subprocess.Popen[str]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(filter(None, sys.path))  # whatever is found here is found there
        threads = str(self._num_threads)  # torch reads it when it is imported
        with self._log.open("w", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", _WORKER, str(writing)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(writing,),
                env={**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is this process's to handle
                text=True,
            )

    def _last_words(self) -> str:
        told = self._log.read_text(encoding="utf-8", errors="replace").strip()
        last = visible(told[-_LAST_CHARACTERS:], keep_lines=True)
        return f"its last words: {last}" if last else "it said nothing"
