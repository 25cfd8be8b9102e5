"""Arrays that another thread writes to while a forest is built of them: a forest of ids that
exist, or a refusal; never a crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, which may crash: builds while one column is flipped between what it
# should be and what it must not be.
BUILD = """
import sys, threading, time, warnings
import numpy as np
from w2stree import InvalidInput
from w2stree.forest import build_forest_from_ids

warnings.simplefilter("ignore")
name, seconds = sys.argv[1], float(sys.argv[2])
random = np.random.default_rng(0)
n, length = 20_000, 20
columns = dict(
    action_id=random.integers(0, 4, n * length, dtype=np.int32),
    observation_id=random.integers(0, 2, n * length, dtype=np.int32),
    step_offset=np.arange(0, n * length + 1, length, dtype=np.int64),
    tree_id=random.integers(0, 50, n, dtype=np.int32),
    total_return=random.random(n),
)
texts = dict(actions=list("abcd"), observations=list("xy"))
bad = {"step_offset": 2**40, "total_return": np.nan}.get(name, 2**31 - 2)
column, good = columns[name], columns[name].copy()
end = time.monotonic() + seconds
num_built = 0

def flip():
    global end
    while time.monotonic() < end or num_built == 0:
        column[:] = bad if name != "action_id" else random.integers(-9, 99, column.size)
        column[:] = good
        time.sleep(0.001)  # so that some builds see nothing of it

flipping = threading.Thread(target=flip)
flipping.start()
while flipping.is_alive():
    try:
        forest = build_forest_from_ids(**columns, num_trees=50, num_threads=2, **texts)
    except InvalidInput:
        continue
    num_built += 1
    ids, roots = (forest.action_id, forest.observation_id), forest.parent == -1
    assert all(((0 <= i) & (i < size))[~roots].all() for i, size in zip(ids, (4, 2)))
    assert np.isfinite(forest.total_return).all() and np.isfinite(forest.return_sum).all()
    forest.digest()
    forest.search(num_simulations=5)
    forest.count_pairs()
"""

COLUMNS = ["tree_id", "step_offset", "total_return", "action_id", "observation_id"]


def assert_survives(column: str, seconds: float) -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", BUILD, column, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_changes_meanwhile(column: str) -> None:
    assert_survives(column, 0.6)


@pytest.mark.slow  # pytest -m slow tests/forest/test_arrays_changed.py
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_changes_for_long(column: str) -> None:
    assert_survives(column, 10.0)
