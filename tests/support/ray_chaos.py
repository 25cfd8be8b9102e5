"""A command on a Ray cluster of two machines, from which things are taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil
from support.ray_cluster import add_machine

_CALLS = ("ray::sort_piece", "ray::make_bucket")


class Chaos:
    """Runs a command to its end, and kills: workers at their calls, the second node, the driver."""

    def __init__(self, cluster: Any, seed: int) -> None:
        self.cluster, self._random = cluster, Random(seed)
        self.num_kills = 0

    def run(self, command: list[str], output: Path, what: str, num_kills: int) -> None:
        """`what`: worker, node or driver. Ends once the folder has its manifest."""
        driver = self._start(command)
        while not (output / "manifest.json").exists():
            time.sleep(self._random.uniform(0.1, 1.0))
            if self.num_kills < num_kills and (output / ".work").exists():
                self.num_kills += getattr(self, f"_kill_{what}")(driver)
            if driver.poll() is not None and not (output / "manifest.json").exists():
                driver = self._start(command)
        assert driver.wait() in (0, -signal.SIGKILL), driver.returncode

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = os.environ | {"RAY_ADDRESS": self.cluster.address}
        return subprocess.Popen([sys.executable, "-m", "w2stree", *command], env=environment)

    def _kill_worker(self, driver: object) -> bool:
        calls = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cmdline()[:1] and process.cmdline()[0].startswith(_CALLS):
                    calls.append(process)
        if not calls:
            return False
        with suppress(psutil.Error):
            self._random.choice(calls).kill()
            return True
        return False

    def _kill_node(self, driver: object) -> bool:
        (lost,) = self.cluster.worker_nodes
        self.cluster.remove_node(lost, allow_graceful=False)
        add_machine(self.cluster)
        return True

    def _kill_driver(self, driver: subprocess.Popen[bytes]) -> bool:
        driver.kill()
        driver.wait()
        return True
