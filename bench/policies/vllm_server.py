"""A vLLM server on the CPU for a small model directory, for tests, benchmarks and a first look.

python -m bench.policies.vllm_server PYTHON MODEL_DIR [--port 8000]

PYTHON is an interpreter that has vLLM (`bash bench/policies/vllm_venv.sh DIR` makes one).
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from w2stree.environments.hosting.guarded import GuardedGroup

_START_S = 600.0  # a minute on an idle machine, much more on a busy one
_GRACE_S = 20.0  # to free its shared memory, once asked to end
# Written to the log and not to the guardian, which keeps the end alone.
_INTO_LOG = 'log=$1; shift; exec "$@" >"$log" 2>&1'
_OFFLINE = ("/usr/bin/env", "HF_HUB_OFFLINE=1", "VLLM_NO_USAGE_STATS=1")


class VllmServer:
    """A running server and all it starts: ended when the block ends, or this process does,
    however that comes."""

    def __init__(
        self, command: list[str], port: int, *, log: Path, grace_s: float = _GRACE_S
    ) -> None:
        self._port, self._log, self._grace_s = port, log, grace_s
        self._group = GuardedGroup(
            ["/bin/sh", "-c", _INTO_LOG, "sh", str(log), *_OFFLINE, *command]
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def wait_until_ready(self, deadline_s: float) -> None:
        """Raises `RuntimeError` with the end of the log where it ends, or does not answer in
        time."""
        due = time.monotonic() + deadline_s
        while time.monotonic() < due:
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=2).close()
                return
            if self._group.has_ended(0.5):
                raise RuntimeError(self._what_happened("ended"))
        raise RuntimeError(self._what_happened(f"does not answer within {deadline_s:g} s"))

    def wait_until_ended(self) -> None:
        """Raises `RuntimeError` with the end of the log: nobody has asked it to."""
        self._group.has_ended(float("inf"))
        raise RuntimeError(self._what_happened("ended"))

    def __enter__(self) -> VllmServer:
        return self

    def __exit__(self, *error: object) -> None:
        self._group.terminate()
        self._group.has_ended(self._grace_s)
        self._group.kill()

    def _what_happened(self, what: str) -> str:
        words = self._group.wait(0.0)
        status = "" if words.status is None else f" with status {words.status}"
        wrote = self._log.read_text(errors="replace") if self._log.exists() else words.output
        return f"the vLLM server {what}{status}; it last wrote to {self._log}:\n{wrote[-3000:]}"


@contextlib.contextmanager
def vllm_server(
    python: str | Path,
    model_dir: str | Path,
    *,
    log: Path,
    port: int | None = None,
    adapters: Mapping[str, Path] | None = None,
) -> Iterator[str]:
    """Serves the model as `tuned` until the block ends; yields the base URL.

    With `adapters` (directories of LoRA adapters by name) the model itself is `base`. Raises
    `RuntimeError` with the end of the log where it does not come up.
    """
    port = port or _free_port()
    command = _command(python, model_dir, port, adapters or {})
    with VllmServer(command, port, log=log) as server:
        server.wait_until_ready(_START_S)
        yield server.url


def _command(
    python: str | Path, model_dir: str | Path, port: int, adapters: Mapping[str, Path]
) -> list[str]:
    loras = [f"{name}={folder}" for name, folder in adapters.items()]
    return [
        # `vllm serve` asks for the distribution's name, which on the CPU is another.
        *(str(python), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model_dir), "--served-model-name", "base" if loras else "tuned"),
        *(("--enable-lora", "--max-lora-rank", "64", "--lora-modules", *loras) if loras else ()),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--enforce-eager", "--gpu-memory-utilization", "0.1"),
        "--no-enable-chunked-prefill",  # with it, a request's own seed ends the CPU engine
        *("--logprobs-mode", "processed_logprobs"),  # of the distribution sampled from
        *("--generation-config", "vllm"),  # no sampling settings but the request's
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.policies.vllm_server")
    parser.add_argument("python")
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--log", type=Path, default=Path("vllm_server.log"))
    parser.add_argument("--start-deadline-s", type=float, default=_START_S)
    parser.add_argument("--grace-s", type=float, default=_GRACE_S, help="to end, once asked to")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    command = _command(options.python, options.model_dir, options.port, {})
    try:
        with VllmServer(command, options.port, log=options.log, grace_s=options.grace_s) as server:
            server.wait_until_ready(options.start_deadline_s)
            print(f"{server.url} serves {options.model_dir} as 'tuned'; Ctrl-C ends it", flush=True)
            server.wait_until_ended()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
