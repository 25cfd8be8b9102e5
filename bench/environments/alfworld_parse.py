"""ALFWorld's engine as published and with its work kept.

    python -m bench.environments.alfworld_parse [--data DIR] [--games 6]

Plays the recorded demonstrations of a seeded sample of train games both ways, in turn, and
asserts that every answer is the same. Times are processor time. The exit status is 1 when an
answer differs or a demonstration does not win.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.environments.alfworld import Alfworld
from w2stree.environments.alfworld.engine import keep_work, publish_work


@dataclass(slots=True)
class Played:
    """Seconds by kind of call, summed over the games, and everything that was answered."""

    load: float = 0.0
    reset: float = 0.0
    step: float = 0.0
    num_steps: int = 0
    num_won: int = 0
    answers: list[Any] = field(default_factory=list)

    def play(self, world: Alfworld, task_id: str) -> None:
        self.load += self._timed(lambda: world.reset(task_id))
        self.reset += self._timed(lambda: world.reset(task_id))
        for turn in world.expert():
            self.step += self._timed(lambda action=turn.action: world.step(action))
            self.num_steps += 1
        self.num_won += bool(self.answers[-1][2])

    def _timed(self, call: Callable[[], Any]) -> float:
        start = time.process_time()
        self.answers.append(call())
        return time.process_time() - start

    def line(self, name: str, num_games: int) -> str:
        return (
            f"{name:<10} {self.num_won:>3}/{num_games} {self.load / num_games:>10.2f} s "
            f"{self.reset / num_games:>8.3f} s {self.num_steps / self.step:>10.1f}"
        )


def main() -> int:
    options = _arguments()
    published, kept = Played(), Played()
    worlds = [Alfworld(options.data, max_steps=200) for _ in range(2)]
    task_ids = random.Random(0).sample(worlds[0].tasks("train"), options.games)
    for task_id in task_ids:
        keep_work()
        kept.play(worlds[0], task_id)
        publish_work()
        published.play(worlds[1], task_id)
    print(f"{'engine':<10} {'won':>5} {'new game':>12} {'reset':>10} {'steps/s':>10}")
    print(published.line("published", len(task_ids)))
    print(kept.line("kept", len(task_ids)))
    is_same = published.answers == kept.answers
    print(f"{kept.num_steps} steps, answers {'equal' if is_same else 'DIFFER'}")
    return 0 if is_same and kept.num_won == len(task_ids) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.environments.alfworld_parse")
    parser.add_argument("--data", type=Path, help="games with demonstrations ($ALFWORLD_DATA)")
    parser.add_argument("--games", type=int, default=6)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
