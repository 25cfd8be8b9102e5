"""A vLLM server on the CPU for a small model directory, for tests, benchmarks and a first look.

python -m bench.policies.vllm_server PYTHON MODEL_DIR [--port 8000]

PYTHON is an interpreter that has vLLM (`bash bench/policies/vllm_venv.sh DIR` makes one).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

_START_S = 600.0  # a minute on an idle machine, much more on a busy one


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
    with log.open("w") as output:
        server = subprocess.Popen(
            _command(python, model_dir, port, adapters or {}),
            env={**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the engine is a process of its own: end them together
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


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


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.5)
    raise RuntimeError(f"the vLLM server does not answer:\n{log.read_text()[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.policies.vllm_server")
    parser.add_argument("python")
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--log", type=Path, default=Path("vllm_server.log"))
    options = parser.parse_args()
    with vllm_server(options.python, options.model_dir, log=options.log, port=options.port) as url:
        print(f"{url} serves {options.model_dir} as 'tuned'; Ctrl-C ends it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
