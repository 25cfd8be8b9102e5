"""A writer that is killed at any moment: what it acknowledged is there, to the byte.

Twelve moments always, 200 with `pytest -m slow tests/store/test_store_killed.py`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from w2stree.store import Store
from w2stree.store.adding import add
from w2stree.store.store import SEGMENTS, gc

pytest.importorskip("zstandard")

WRITER = """
import sys
from w2stree.store import adding
adding._COMMIT_BYTES = 1 << 14  # many transactions
for i in range(1_000):
    for outcome in adding.add("s", sys.argv[1:], reads=False):
        print(outcome.name, flush=True)
    print("all", flush=True)
    from w2stree.store.store import gc, remove
    remove("s", ["f3", "f5"])
    print("removed", flush=True)
    gc("s")
"""


def files(folder: Path, chance: random.Random) -> dict[str, bytes]:
    made = {}
    for i in range(12):
        words = [f'"what number {chance.randrange(400)} says of it"' for _ in range(300)]
        made[f"f{i}"] = ("\n".join(words)).encode() + bytes(i)
        (folder / f"f{i}").write_bytes(made[f"f{i}"])
    return made


@pytest.mark.parametrize("moments", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: int
) -> None:
    monkeypatch.chdir(tmp_path)
    chance = random.Random(moments)
    expected = files(tmp_path, chance)
    acknowledged: set[str] = set()
    for _ in range(moments):
        acknowledged = _killed(expected, acknowledged, chance)
        _is_whole(expected, acknowledged)
    for _ in add("s", sorted(expected), reads=False):
        pass
    gc("s")
    _is_whole(expected, set(expected))
    assert not [f for f in Path("s", SEGMENTS).iterdir() if f.suffix != ".seg"]


def _killed(expected: dict[str, bytes], before: set[str], chance: random.Random) -> set[str]:
    """What has to be there after a writer was killed after so many lines, and a little."""
    command = [sys.executable, "-c", WRITER, *sorted(expected)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline().strip() for _ in range(chance.randint(1, 40))]
        if chance.random() < 0.5:  # in the middle of what comes next, wherever that is
            os.sched_yield()
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().split()
    there = set(before)
    for i, word in enumerate(told):
        if word == "all":  # the removal follows, and may have been done
            there -= {"f3", "f5"} if "removed" not in told[i + 1 : i + 2] else set()
        elif word == "removed":
            there -= {"f3", "f5"}
        elif word:
            there.add(word)
    return there


def _is_whole(expected: dict[str, bytes], acknowledged: set[str]) -> None:
    with Store("s") as store:
        found = {s.name: b"".join(store.read(s)) for s in store.sources()}
    assert acknowledged <= set(found)
    assert found.items() <= expected.items()
