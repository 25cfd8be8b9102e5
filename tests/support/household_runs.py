"""Runs of real household games, failures among them: the recorded expert's turns, spoilt by script.

expert      go to shelf 1 > take mug 1 > go to sink 1 > clean mug 1 > put mug 1    return 1
skips       go to shelf 1 > take mug 1 > go to sink 1 > put mug 1                  return 0
wanders     go to shelf 1 > look > go to shelf 1 > look > …  (40 steps, truncated)  return 0
wrong word  go to shelf 1 > grab mug 1 > …                                         return 0
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from w2stree import Message, Step, Trajectory
from w2stree.trajectories.origin import Origin

_FOLDER = Path(
    os.environ.get("ALFWORLD_DATA")
    or Path(__file__).resolve().parents[3] / "shared" / "data" / "alfworld"
)
_PACK = _FOLDER / "train.jsonl.gz"
_NOTHING = "Nothing happens."
_MOST_STEPS = 40

needs_games = pytest.mark.skipif(
    not _PACK.is_file(),
    reason="no pack of ALFWorld games: set ALFWORLD_DATA or put it in ../shared/data/alfworld",
)


def household_runs(num_games: int, *, seed: int = 0, runs_per_game: int = 7) -> list[Trajectory]:
    """So many games of the pack, each played so often: by the expert first, and otherwise worse."""
    return list(_runs(num_games, random.Random(seed), runs_per_game))


def _runs(num_games: int, rng: random.Random, runs_per_game: int) -> Iterator[Trajectory]:
    with gzip.open(_PACK, "rt", encoding="utf-8") as lines:
        for line, _ in zip(lines, range(num_games), strict=False):
            game = json.loads(line)
            first, *rest = game["gt"]
            expert = list(zip(rest[::2], rest[1::2], strict=False))
            prompt = (Message("user", f"{first}\n{game['task']}"),)
            skill = rng.random()
            for sample in range(runs_per_game):
                turns = expert if rng.random() < skill else _spoilt(expert, rng)
                is_won = turns is expert
                yield Trajectory(
                    game["id"],
                    prompt,
                    tuple(Step(a, o, f"Thought: {a} now.\nAction: {a}") for a, o in turns),
                    float(is_won),
                    "truncated" if len(turns) == _MOST_STEPS else "done",
                    Origin(sample_index=sample, seed=0, policy="expert" if is_won else "spoilt"),
                )


def _spoilt(expert: list[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    begin = rng.randrange(len(expert))
    match rng.randrange(3):
        case 0:  # skips a turn, so that what needed it fails
            return [*expert[:begin], *((action, _NOTHING) for action, _ in expert[begin + 1 :])]
        case 1:
            wandering = [expert[begin], ("look", "You are in the middle of a room.")] * _MOST_STEPS
            return [*expert[:begin], *wandering][:_MOST_STEPS]
        case _:
            wrong = (expert[begin][0].replace("go", "walk").replace("take", "grab"), _NOTHING)
            return [*expert[:begin], wrong, ("inventory", "You are not carrying anything.")]
