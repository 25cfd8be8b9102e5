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

from w2stree.formats.agenttraj import LEARNED, learned_turns
from w2stree.rows.worded import require_prompt
from w2stree.trajectories.answers import shape_of
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
        read = [run.steps for run in runs]
        if num_read is not None:
            read = [steps[:n] for steps, n in zip(read, num_read.tolist(), strict=True)]
        prompts: dict[int, int] = {}  # by identity: to hash one takes as long as some steps
        after: dict[Hashable, tuple[int, int, int, int]] = {}  # what is shared is read off at once
        states: list[int] = []
        histories: list[int] = []
        turns: list[int] = []
        actions: list[int] = []
        num_worded: list[int] = []
        num_until_action: list[int] = []
        for run, steps in zip(runs, read, strict=True):
            require_prompt(run)
            if (number := prompts.get(id(run.prompt))) is None:
                number = prompts[id(run.prompt)] = numbers[run.prompt]
            state = history = number
            said: list[str] = []
            worded, until_action = len(steps), 0
            shapes = shape_of(run, len(steps))
            for i, step in enumerate(steps):
                action, observation = step.action, step.observation
                turn = _turn(step) if step.tool_calls else step.response or action
                if not step.response and worded > i and not step.is_worded:
                    worded = i
                if action:
                    until_action = i + 1
                states.append(state)
                histories.append(history)
                told = (observation, shapes[i]) if i in shapes else observation
                key = state, history, turn, action, told
                if (found := after.get(key)) is None:
                    found = after[key] = (
                        numbers[state, action, told],
                        numbers[turn, history, told],
                        numbers[action],
                        numbers[turn],
                    )
                state, history, of_action, of_turn = found
                actions.append(of_action)
                if num_read is None:
                    said.append(turn)
                else:
                    turns.append(of_turn)
            if num_read is None:
                turns += _suffixes(numbers, run, said)
            num_worded.append(worded)
            num_until_action.append(until_action)
        self.state, self.history, self.turns, self.action = (
            np.array(column, np.int64) for column in (states, histories, turns, actions)
        )
        self.num_steps = np.array([len(steps) for steps in read], np.int64)
        self.offset: Ints = np.array([0, *accumulate(self.num_steps.tolist())], np.int64)[:-1]
        self.num_worded = np.array(num_worded, np.int64)
        """A run's first steps that hold the agent's words."""
        self.num_until_action = np.array(num_until_action, np.int64)
        """A run's steps up to the last one with an action."""
        self.is_learned, self.num_until_unlearned = self._flags(runs)
        self.no_action = numbers[""]
        """The number of an action that is none."""
        self.num_texts = len(numbers)
        """All numbers are below it."""

    def _flags(self, runs: Sequence[Trajectory]) -> tuple[NDArray[np.bool_], Ints]:
        """Of each step read whether it may be learned from, and of each run its steps up to the
        last one that may not (AgentTraj's flags)."""
        is_learned = np.ones(int(self.num_steps.sum()), np.bool_)
        num_until_unlearned = np.zeros(len(runs), np.int64)
        has_flags = any(LEARNED in run.info for run in runs)
        if has_flags and (flags := learned_turns(runs)) is not None:
            for i, (turns, begin) in enumerate(zip(flags, self.offset.tolist(), strict=True)):
                turns = turns[: int(self.num_steps[i])]
                is_learned[begin : begin + len(turns)] = turns
                num_until_unlearned[i] = len(turns) - [*turns[::-1], False].index(False)
        return is_learned, num_until_unlearned


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
    """A text that is equal for equal turns of tool calls."""
    return f"{step.response}\n{step.action}"
