"""What a stock trainer learns of rows of messages beside what it should: counted as they go by."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from w2stree.percent import percent
from w2stree.rows.chat import steps_in
from w2stree.rows.columns import Kind, Shown
from w2stree.rows.once import OncePerRun
from w2stree.trajectories.trajectory import Trajectory


class _Sums(NamedTuple):
    """Over a run's first 0, 1, 2, … steps."""

    of_agent: list[int]
    of_environment: list[int]
    num_cut: list[int]
    num_without_action: list[int]


class Remarks:
    """Of the rows of one table."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._sums = OncePerRun(_sums)
        self._of_agent = self._of_environment = 0
        self._num_cut = self._num_without_action = 0

    def note(self, shown: Shown) -> None:
        if shown.ids or self._kind == "question":
            return
        for passages in shown.passages if self._kind == "messages" else shown.passages[1:]:
            for run, begin, end in zip(*passages, strict=True):
                if end - begin == 1:
                    step = run.steps[steps_in(run, begin, end)[0]]
                    self._num_cut += step.is_cut
                    self._num_without_action += not step.action
                else:
                    self._note(run, begin, end)

    def _note(self, run: Trajectory, begin: int, end: int) -> None:
        """Of several turns."""
        sums, steps = self._sums(run), steps_in(run, begin, end)
        i, j = steps.start, steps.stop
        self._num_cut += sums.num_cut[j] - sums.num_cut[i]
        self._num_without_action += sums.num_without_action[j] - sums.num_without_action[i]
        if j - i > 1:
            self._of_agent += sums.of_agent[j] - sums.of_agent[i]
            self._of_environment += sums.of_environment[j - 1] - sums.of_environment[i]

    def in_words(self) -> tuple[str, ...]:
        found = []
        if self._of_environment:
            share = self._of_environment / (self._of_agent + self._of_environment)
            found.append(
                f"{percent(share, 0)} of the text to learn (by characters, of rows of several "
                f"turns) is what the environment said: {self._cure()}"
            )
        if self._num_without_action:
            found.append(
                f"{self._num_without_action:,} turns to learn or judge have no action; rows of "
                "tokens leave them out"
            )
        if self._num_cut:
            found.append(
                f"{self._num_cut:,} turns were cut off by a limit on their length; as messages "
                "they end with the template's mark, which no model said"
            )
        return tuple(found)

    def _cure(self) -> str:
        if self._kind == "messages":
            return (
                "learn the assistant's turns alone (assistant_only_loss, roles_to_train), or write "
                "rows of tokens"
            )
        return (
            "stock trainers score it; chosen_mask and rejected_mask say which messages count, "
            "w2stree train dpo scores these alone, and rows of one turn (step) have none"
            if self._kind == "preference"
            else "stock trainers score it; judged sides of one turn (step) have none"
        )


def _sums(run: Trajectory) -> _Sums:
    counts = [
        (len(s.response), len(s.observation), int(s.is_cut), int(not s.action)) for s in run.steps
    ]
    return _Sums(*(list(accumulate(column, initial=0)) for column in zip(*counts, strict=True)))
