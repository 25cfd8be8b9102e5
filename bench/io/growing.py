"""Episodes as they finish, a thousand at a time: `forest.add` against building everything anew.

    forest of all but the last thousand ──add──> ┐
    no forest ──build_forest of all────────────> ┴ equal, to the digest

Episodes come in the order of a seeded shuffle, so that each thousand is of most of the tasks; they
are trajectories that are already there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import w2stree as w2s
from bench.core.plan import Plan
from bench.core.table import Figure, Row, compared
from bench.core.timing import interleaved
from bench.equality import DifferentResultsError
from w2stree.trajectories.trajectory import Trajectory

_AT_ONCE = 1_000  # episodes


def growing(plan: Plan, name: str, episodes: Sequence[Trajectory]) -> Iterator[Row]:
    episodes = random.Random(0).sample(episodes, len(episodes))
    known, new = episodes[:-_AT_ONCE], episodes[-_AT_ONCE:]
    forest = _grown(known)
    if forest.add(new).digest() != w2s.build_forest(episodes).digest():
        raise DifferentResultsError("a forest that grew is another one than that of all at once")
    workload = f"{name}, {len(known):,} + {len(new):,}"
    mine, its = interleaved(
        lambda: forest.add(new, num_threads=1),
        lambda: w2s.build_forest(episodes, num_threads=1),
        budget=plan.budget,
    )
    yield Figure("io", workload, "forest.add of a thousand episodes", mine.best * 1e3, "ms")
    yield compared("io", workload, "episode", "build_forest of all", mine, its, len(new))


def _grown(episodes: Sequence[Trajectory]) -> w2s.Forest:
    """A thousand at a time, as they would come."""
    forest = w2s.build_forest(episodes[:_AT_ONCE])
    for begin in range(_AT_ONCE, len(episodes), _AT_ONCE):
        forest = forest.add(episodes[begin : begin + _AT_ONCE])
    return forest
