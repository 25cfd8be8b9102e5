"""Workers, a node and the driver killed at random: nothing is lost, nothing is there twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from support.bucketed_runs import files_of, random_runs
from support.ray_chaos import Chaos
from support.ray_cluster import LEFTOVERS, two_machines

from w2stree.forest.bucket_manifest import BucketManifest
from w2stree.scale.bucketed import run_buckets
from w2stree.scale.engine import LocalEngine
from w2stree.scale.jobs import Pairs

pytest.importorskip("ray")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    *LEFTOVERS,
]

NUM_KILLS = 20


@pytest.mark.parametrize("what", ["worker", "node", "driver"])
def test_whatever_is_killed_the_result_is_the_same(what: str, tmp_path: Path) -> None:
    runs = files_of(random_runs(Random(5), 400), tmp_path / "in", 40)
    expected = run_buckets(Pairs(), [str(runs)], tmp_path / "whole", LocalEngine(), num_buckets=40)
    with two_machines() as cluster:
        chaos = Chaos(cluster, seed=7)
        for i in range(NUM_KILLS):  # a command may end before all its kills have come
            output = tmp_path / f"{i}"
            command = ["pairs", str(runs), "-o", str(output), "--engine", "ray", "--buckets", "40"]
            chaos.run(command, output, what, NUM_KILLS)
            assert BucketManifest.read(output) == expected.manifest
            if chaos.num_kills >= NUM_KILLS:
                return
    raise AssertionError(f"{chaos.num_kills} kills")
