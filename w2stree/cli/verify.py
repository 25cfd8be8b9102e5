"""`w2stree verify RUN`: are the recorded trajectories what the environment answers?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import takewhile
from random import Random
from typing import TYPE_CHECKING

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.shorten import quoted
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.rollouts.verification import Difference

_SHOWN_DIFFERENCES = 20
_SHOWN_COLUMNS = 120
_SHOWN_BEFORE = 30  # characters in common before the first that differs


def verify(options: argparse.Namespace) -> int:
    """Replay a run; returns 1 where anything differs."""
    try:
        from w2stree.experiment.recorded_run import read_run
        from w2stree.experiment.stages.context import bar
        from w2stree.rollouts.verification import verify as replay
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{error.name} is not installed: pip install 'w2stree[explore]'"
        ) from None
    run = read_run(options.run)
    for file in run.skipped:
        print(f"not replayed (games with settings of their own): {file}", file=sys.stderr)
    played = [t for t in run.trajectories if t.status != "error"]
    num_errors = len(run.trajectories) - len(played)
    played = _sample(played, options.sample, options.seed)
    if not played:
        raise InvalidInput(f"{options.run}: all {num_errors} trajectories are error rows")
    differing, shown = 0, 0
    with run.environment.pool() as pool:
        for _, differences in bar(replay(pool, played), total=len(played), what="verify: episodes"):
            differing += bool(differences)
            for difference in differences[: _SHOWN_DIFFERENCES - shown]:
                shown += 1
                print(_describe(difference))
    num_steps = sum(len(t.steps) for t in played)
    print(
        f"{len(played)} trajectories of {num_steps} steps replayed; {differing} differ; "
        f"{num_errors} error rows skipped"
    )
    return 1 if differing else 0


def _describe(difference: Difference) -> str:
    recorded, replayed = difference.recorded, difference.replayed
    same = takewhile(lambda pair: pair[0] == pair[1], zip(recorded, replayed, strict=False))
    start = max(0, sum(1 for _ in same) - _SHOWN_BEFORE)
    return (
        f"{difference.task_id}, sample {difference.sample_index}, step {difference.step}: "
        f"{difference.what} differs{f' from character {start} on' if start else ''}\n"
        f"  recorded {quoted(recorded[start:], _SHOWN_COLUMNS)}\n"
        f"  replayed {quoted(replayed[start:], _SHOWN_COLUMNS)}"
    )


def _sample(trajectories: Sequence[Trajectory], size: int | None, seed: int) -> list[Trajectory]:
    if size is None or size >= len(trajectories):
        return list(trajectories)
    chosen = sorted(Random(seed).sample(range(len(trajectories)), size))
    return [trajectories[i] for i in chosen]
