"""Readers take any bytes: the typed errors may come out, and nothing else.

The fuzzer itself is slow: `pytest -m slow tests/test_fuzz.py`, or `python -m bench.fuzz`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("pydantic")

from bench.fuzz.targets import TARGETS, run, seeds

# Costly ones are configurations, checked by pydantic.
TRIES = dict.fromkeys(TARGETS, 200) | dict.fromkeys(("experiment", "exploration", "override"), 20)


def mutated(data: bytes, random: Random) -> bytes:
    """Bytes changed, cut, said twice, or put where others were."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place, other = random.randrange(len(changed) + 1), random.randrange(len(changed) + 1)
        match random.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                del changed[place : place + random.randint(1, 30)]
            case 2:
                changed[place:place] = changed[other : other + random.randint(1, 60)]
            case 3:
                changed[place : place + 1] = random.choice(
                    [b"NaN", b"1e999", b'"\\ud800"', b"\0", b"\r", b"{", b"[" * 2_000, b".inf"]
                )
            case _:
                del changed[place:]
    return bytes(changed)


@pytest.mark.parametrize("name", TARGETS)
def test_only_typed_errors_come_out(name: str) -> None:
    random = Random(0)
    inputs = seeds(name)
    assert any(run(TARGETS[name], data) for data in inputs), "none of the seeds is read"
    for _ in range(TRIES[name]):
        run(TARGETS[name], mutated(random.choice(inputs), random))


@pytest.mark.slow
def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "bench.fuzz", "--seconds", "30", "--corpus", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
