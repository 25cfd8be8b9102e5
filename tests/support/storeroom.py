"""A small deterministic world whose best paths are known: two things, three places, one right each.

    box (closed) <- cup          sink <- pen          shelf
    open box, take cup, put cup in box, take pen, put pen in sink         the shortest way to 1.0

A thing taken, or in its place, is worth a fourth; put elsewhere, nothing.
"""

from __future__ import annotations

import os
from typing import Any

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.rollouts.episode import opening
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.react import render_turn

PLACES = ("box", "shelf", "sink")
RIGHT = {"cup": "box", "pen": "sink"}


class Storeroom:
    """`jammed` dies when the box is opened; `moody` answers every `look` with another number."""

    def __init__(self, max_steps: int = 14, *, lists: bool = True) -> None:
        self._max_steps, self._lists = max_steps, lists
        self._num_taken = 0

    def tasks(self, split: str) -> list[str]:
        """Of `taken` one, whose name is the number of steps since the process began: of all that
        can be asked from outside, `tasks` alone disturbs nothing."""
        if split == "taken":
            return [f"{self._num_taken}"]
        return [f"store/{i}" for i in range(20)]

    def reset(self, task_id: str) -> Any:
        self._task_id, self._num_steps, self._is_open = task_id, 0, False
        self._where: dict[str, str] = {}
        self._score = 0.0
        return f"{task_id}: a cup and a pen lie here.", self._info()

    def step(self, action: str) -> Any:
        self._num_taken += 1
        self._num_steps += 1
        answer = self._answer(action) if action in self._possible() else "You cannot do that."
        info = self._info()
        reward, self._score = info["score"] - self._score, info["score"]
        is_done = info["score"] == 1.0
        return answer, reward, is_done, not is_done and self._num_steps >= self._max_steps, info

    def close(self) -> None:
        pass

    def _answer(self, action: str) -> str:
        match action.split():
            case ["look"]:
                return f"You look {self._num_taken if self._task_id == 'moody' else 'around'}."
            case ["open", "box"]:
                if self._task_id == "jammed":
                    os._exit(1)
                self._is_open = True
                return "The box is open."
            case ["take", thing]:
                self._where[thing] = "hand"
                return f"You have the {thing}."
            case ["put", thing, "in", place]:
                self._where[thing] = place
                return f"The {thing} is in the {place}."
        raise AssertionError(action)

    def _possible(self) -> list[str]:
        opening = [] if self._is_open else ["open box"]
        takes = [f"take {thing}" for thing in RIGHT if self._where.get(thing) != "hand"]
        puts = [
            f"put {thing} in {place}"
            for thing in RIGHT
            if self._where.get(thing) == "hand"
            for place in PLACES
            if place != "box" or self._is_open
        ]
        return sorted(["look", *opening, *takes, *puts])

    def _info(self) -> Any:
        worth = {"hand": 1, **dict.fromkeys(PLACES, 0)}
        score = sum(
            2 if place == RIGHT[thing] else worth[place] for thing, place in self._where.items()
        )
        offers = self._possible() if self._lists else []
        return {"score": score / 4, "admissible_actions": offers}


def run_of(
    pool: EnvironmentPool, task_id: str, actions: list[str], *, sample: int = 0, thought: str = ""
) -> Trajectory:
    """What comes of the actions, as far as the world lets them."""
    statement, _ = pool[0].call("reset", task_id)
    steps: list[Step] = []
    status, score, is_done, is_over = "truncated", 0.0, False, False
    for action in actions:
        observation, reward, is_done, is_over, info = pool[0].call("step", action)
        said = render_turn(thought and f"{thought} {len(steps)}", action)
        steps.append(Step(action, observation, said, reward=reward))
        score = info["score"]
        if is_done or is_over:
            status = "done" if is_done else "truncated"
            break
    cause = None if is_done or is_over else "the test stops here"
    origin = Origin(sample_index=sample, policy="script", truncated_by=cause)
    return Trajectory(task_id, opening("", statement), tuple(steps), score, status, origin)


def num_taken(pool: EnvironmentPool) -> int:
    """Steps that the pool's first process has taken."""
    (number,) = pool[0].call("tasks", "taken")
    return int(number)
