"""A process ends as it would without us while a daemon thread is in a call of the core."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# The main thread returns while the call runs; with it the interpreter goes, not the thread.
MAIN = """
import ctypes, signal, sys, threading, time, warnings
import numpy as np
from w2stree import Message, Step, Trajectory, build_forest, open_forest
from w2stree.forest import build_forest_from_ids, build_forest_from_texts

warnings.simplefilter("ignore")
call, path = sys.argv[1:]
random = np.random.default_rng(0)
n, length = 30_000, 15
columns = dict(
    action_id=random.integers(0, 3, n * length, dtype=np.int32),
    observation_id=random.integers(0, 2, n * length, dtype=np.int32),
    step_offset=np.arange(0, n * length + 1, length, dtype=np.int64),
    tree_id=random.integers(0, 40, n, dtype=np.int32),
    total_return=random.random(n),
)
forest = build_forest_from_ids(**columns)
forest.save(path)
runs = []
if call in ("objects", "texts"):  # otherwise nothing that makes the interpreter's end longer
    steps = tuple(Step(f"a{i % 7}", f"o{i}") for i in range(20))
    prompt = (Message("user", "hello"),)
    runs = [Trajectory(f"task {i % 50}", prompt, steps, 0.5, "done") for i in range(3000)]
calls = {
    "search": lambda: forest.search(num_simulations=200_000, num_threads=2),
    "build": lambda: build_forest_from_ids(**columns, num_threads=2),
    "pairs": lambda: forest.pairs(max_per_task=1000, seed=1),
    "digest": lambda: forest.digest(),
    "open": lambda: open_forest(path),
    "stream": lambda: list(forest.stream_pairs(chunk_size=100_000)),
    "objects": lambda: build_forest(run for run in runs),
    "texts": lambda: build_forest_from_texts(
        (run.task_id for run in runs),
        ([step.action for step in run.steps] for run in runs),
        ([step.observation for step in run.steps] for run in runs),
        (0.5 for run in runs),
    ),
}
started = threading.Event()

def work():
    while True:
        started.set()
        calls[call]()

thread = threading.Thread(target=work, daemon=True)
thread.start()
started.wait()
time.sleep(0.05)
# The thread stands still for a second, handling its signal by sleep(1), and goes on when nothing is
# left of the interpreter: the process then stays for two, sleep(2) of its status.
libc = ctypes.CDLL(None)
libc.signal(signal.SIGHUP, libc.sleep)
libc.on_exit(libc.sleep, None)
signal.pthread_kill(thread.ident, signal.SIGHUP)
sys.exit(2)
"""
CALLS = ["search", "build", "pairs", "digest", "open", "stream", "objects", "texts"]


def assert_ends_well(call: str, folder: Path) -> None:
    command = [sys.executable, "-c", MAIN, call, str(folder / "f")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.parametrize("call", CALLS)
def test_exit_during_a_call(call: str, tmp_path: Path) -> None:
    assert_ends_well(call, tmp_path)


@pytest.mark.slow  # pytest -m slow tests/core/test_exit.py
@pytest.mark.parametrize("call", CALLS)
def test_exit_during_a_call_again_and_again(call: str, tmp_path: Path) -> None:
    for _ in range(10):
        assert_ends_well(call, tmp_path)
