"""The texts of runs as numbers: equal numbers for equal texts, so that rows compare numbers.

    run        u  a1 o1  a2 o2  a3 o3        depth 0      1      2
    state      u, and actions and answers     0      1      2      up to that depth
    history    u, and all that was said       0      1      2      up to that depth
    turns      what was said from there on    7      6      5      or in that turn alone
    action                                    3      4      3

A number is interned from the one before it and one step's texts, so a run costs O(its texts): of
turns alone, those up to the deepest one that is compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from w2stree.rows.worded import require_prompt
from w2stree.trajectories.trajectory import Step, Trajectory

Ints = NDArray[np.int64]


class RunTexts:
    """Arrays by run and depth, flat: a run's begin at `offset[run]`.

    `turns` are all from a depth on; with `num_read` the one there, of a run's first `num_read[run]`
    steps, and no step after these is looked at. The last answer is in no row, and in no number.
    Raises `InvalidInput` where a run has no prompt.
    """

    def __init__(self, runs: Sequence[Trajectory], num_read: Ints | None = None) -> None:
        numbers: defaultdict[Hashable, int] = defaultdict()
        numbers.default_factory = numbers.__len__  # what is new has the next number
        states: list[int] = []
        histories: list[int] = []
        turns: list[int] = []
        actions: list[int] = []
        read = [run.steps for run in runs]
        if num_read is not None:
            read = [steps[:n] for steps, n in zip(read, num_read.tolist(), strict=True)]
        for run, steps in zip(runs, read, strict=True):
            require_prompt(run)
            said = [_turn(step) for step in steps]
            state = history = numbers[run.prompt]
            for step, turn in zip(steps, said, strict=True):
                states.append(state)
                histories.append(history)
                action, observation = step.action, step.observation
                state = numbers[state, action, observation]
                history = numbers[turn, history, observation]
                actions.append(numbers[action])
            turns += (
                _suffixes(numbers, run, said) if num_read is None else [numbers[t] for t in said]
            )
        self.state, self.history, self.turns, self.action = (
            np.array(column, np.int64) for column in (states, histories, turns, actions)
        )
        self.num_steps = np.array([len(steps) for steps in read], np.int64)
        self.offset: Ints = np.array([0, *accumulate(self.num_steps.tolist())], np.int64)[:-1]
        self.num_worded = np.array([_num_worded(steps) for steps in read], np.int64)
        """A run's first steps that hold the agent's words."""
        self.num_until_action = np.array([_num_until_action(steps) for steps in read], np.int64)
        """A run's steps up to the last one with an action."""
        self.no_action = numbers[""]
        """The number of an action that is none."""
        self.num_texts = len(numbers)
        """All numbers are below it."""


def _suffixes(numbers: dict[Hashable, int], run: Trajectory, said: Sequence[str]) -> list[int]:
    """What was said from each turn on."""
    if not said:
        return []
    number = numbers[(said[-1],)]
    found = [number]
    for step, turn in zip(run.steps[-2::-1], said[-2::-1], strict=True):
        number = numbers[turn, number, step.observation]
        found.append(number)
    return found[::-1]


def _turn(step: Step) -> str:
    """A text that is equal for equal turns."""
    if step.tool_calls:
        return f"{step.response}\n{step.action}"
    return step.response or step.action


def _num_worded(steps: Sequence[Step]) -> int:
    return next((i for i, step in enumerate(steps) if not step.is_worded), len(steps))


def _num_until_action(steps: Sequence[Step]) -> int:
    return next((i for i in range(len(steps), 0, -1) if steps[i - 1].action), 0)
