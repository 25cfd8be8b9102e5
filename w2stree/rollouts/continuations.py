"""Continuations: what an action is worth, by playing on from it, the same policy on both sides.

    h ─┬─ a ─┬─ … 1.0     h ─┬─ b ─┬─ … 0.5      differences 0.5, 0, …: looked at as they come
       (restored) ├─ … 0.5   (restored) ├─ … 0.5   (`paired_looks`), until one side is better or
                  └─ …                  └─ …       it is not worth going on

Continuation k of either side draws from the same stream (common random numbers): what luck gives
one side it gives the other, as far as their histories let it.

Rounds: all contrasts that are still open get the continuations up to their next look together,
some contrasts at a time, so that a model has large batches. What is played depends on contrasts,
seed and settings alone, not on the number of environments, and not on where a session was
interrupted: what the journal holds is not played again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import IdenticalTrajectories, InvalidInput, SamplesUnfinished
from w2stree.forest.forest import Forest
from w2stree.policies.protocol import AsyncPolicy, ModelName, Policy, Sampling
from w2stree.rollouts.contrasts import Contrast
from w2stree.rollouts.executor import LocalExecutor
from w2stree.rollouts.exploration import Exploration
from w2stree.rollouts.exploration import Progress as Played
from w2stree.rollouts.outcome import Outcome
from w2stree.rollouts.paired_looks import Look, PairedLooks
from w2stree.rollouts.rollout import EpisodePlan
from w2stree.rollouts.samples import Sample
from w2stree.rollouts.tally import own_steps
from w2stree.trajectories.field_types import check_field_types
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.trajectory import Trajectory

Verdict = Literal["confirmed", "reversed", "undecided", "unfinished"]
"""`confirmed`: the action that the forest asserts does better, significantly. `reversed`: the other
one does. `undecided`: the looks came to their end, or it was hopeless to go on. `unfinished`: the
budget ended before that, or a continuation that was needed ended in errors alone."""

_AT_ONCE = 32
"""Contrasts whose continuations are played together. It decides where a budget ends, so it is no
setting."""


@dataclass(frozen=True, slots=True)
class StepBudget:
    """When to begin no more continuations; None is no limit.

    `environment_steps` count all that environments take, the way back to the divergence included,
    `turns` the model's. What is being played then is played to its end. Raises `InvalidInput` for
    a limit that is not above 0.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    environment_steps: int | None = None
    turns: int | None = None

    def __post_init__(self) -> None:
        check_field_types(self)
        for name in ("environment_steps", "turns"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise InvalidInput(f"{name} is {limit}; give a number above 0, or null: no limit")


@dataclass(frozen=True, slots=True)
class Measured:
    """A contrast and what its continuations came to. `returns` are the sides' (better, other),
    continuation by continuation; `look` is the last one, None before the first."""

    contrast: Contrast
    returns: tuple[tuple[float, ...], tuple[float, ...]]
    look: Look | None
    verdict: Verdict

    @property
    def differences(self) -> list[float]:
        return _differences(self.returns)

    @property
    def is_significant(self) -> bool:
        return self.verdict in ("confirmed", "reversed")


@dataclass(frozen=True, slots=True)
class Continued:
    """All that was measured, in the order of the contrasts; those that the budget left untouched
    are not among them. `trajectories` are the continuations that ended without an error, in the
    order that they were planned. `outcome` tells of errors."""

    measured: list[Measured]
    trajectories: list[Trajectory]
    num_environment_steps: int
    num_turns: int
    spent: str | None
    """Which limit ended it, in words."""
    outcome: Outcome


@dataclass(slots=True)
class _Running:
    contrast: Contrast
    first_sample: int
    returns: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    look: Look | None = None
    verdict: Verdict = "unfinished"
    is_begun: bool = False
    is_open: bool = True


class Continuations:
    """Measures contrasts of a forest into a journal. `play` is called once.

    The journal's samples are numbered by contrast, side and continuation; resuming needs the same
    contrasts, `looks`, `sampling` and `seed`. Errors of environment and model are tried again, with
    the same draws, up to `max_attempts` times, as in an `Exploration`.

    Cost: at most twice the last look's number of episodes for each contrast. Raises `InvalidInput`
    for a temperature of 0.
    """

    def __init__(
        self,
        forest: Forest,
        contrasts: Sequence[Contrast],
        looks: PairedLooks,
        *,
        journal: Journal,
        pool: EnvironmentPool,
        policy: Callable[[ModelName], Policy | AsyncPolicy],
        sampling: Sampling,
        seed: int,
        instruction: str = "",
        budget: StepBudget = StepBudget(),
        max_attempts: int = 3,
        progress: Callable[[Played], None] = lambda _: None,
    ) -> None:
        if not sampling.temperature > 0:
            raise InvalidInput(
                "temperature is 0: every continuation of an action would be the same one; give a "
                "temperature above 0"
            )
        self._forest, self._looks = forest, looks
        self._sampling, self._seed, self._budget = sampling, seed, budget
        self._running = [*self._numbered(contrasts)]
        self._ended: dict[Sample, Trajectory] = {}
        for trajectory in journal.episodes():
            self._keep(trajectory)
        self._told = progress
        self._planned: list[Sample] = []
        self._num_environment_steps = self._num_turns = 0
        self._exploration = Exploration(
            journal,
            LocalExecutor(pool, policy, instruction=instruction),
            max_attempts=max_attempts,
            progress=self._acknowledge,
        )

    def play(self) -> Continued:
        """Play until every contrast is decided or hopeless, or the budget is spent.

        Raises as `Exploration.play`, and warns as it does, but for `IdenticalTrajectories` and
        `SamplesUnfinished`: `outcome` has what these would tell.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdenticalTrajectories)
            warnings.simplefilter("ignore", SamplesUnfinished)
            spent = self._play_rounds()
        begun = [running for running in self._running if running.is_begun]
        return Continued(
            [_measured(running) for running in begun],
            [self._ended[sample] for sample in self._planned if sample in self._ended],
            self._num_environment_steps,
            self._num_turns,
            spent,
            self._exploration.outcome(),
        )

    def _play_rounds(self) -> str | None:
        before = 0
        for number in self._looks.looks:
            still = [running for running in self._running if running.is_open]
            for begin in range(0, len(still), _AT_ONCE):
                if (spent := self._spent()) is not None:
                    return spent
                self._play(still[begin : begin + _AT_ONCE], range(before, number))
            before = number
        return None

    def _play(self, together: Sequence[_Running], numbers: range) -> None:
        plans = [plan for running in together for plan in self._plans(running, numbers)]
        self._exploration.play(plans)
        for plan in plans:
            sample = plan.task_id, plan.sample_index
            self._planned.append(sample)
            if (trajectory := self._ended.get(sample)) is not None:
                self._num_environment_steps += len(trajectory.steps)
                self._num_turns += len(own_steps(trajectory))
        for running in together:
            self._take(running, numbers)

    def _take(self, running: _Running, numbers: range) -> None:
        """The returns of these continuations, and the look at all there are."""
        running.is_begun = True
        for which, side in enumerate(running.contrast.sides):
            for k in numbers:
                value = side.known_return
                if value is None:
                    sample = running.contrast.task_id, self._sample_index(running, which, k)
                    ended = self._ended.get(sample)
                    value = None if ended is None else ended.total_return
                if value is None:  # errors alone: no difference, and no look without it
                    running.is_open = False
                    return
                running.returns[which].append(value)
        running.look = self._looks.look(_differences(running.returns))
        finding = running.look.finding
        if finding != "open":
            decided: dict[str, Verdict] = {"first": "confirmed", "second": "reversed"}
            running.is_open, running.verdict = False, decided.get(finding, "undecided")

    def _plans(self, running: _Running, numbers: range) -> Iterator[EpisodePlan]:
        for which, side in enumerate(running.contrast.sides):
            if side.known_return is None:
                opening = running.contrast.opening(self._forest, side)
                for k in numbers:
                    yield EpisodePlan(
                        running.contrast.task_id,
                        self._sample_index(running, which, k),
                        self._sampling,
                        self._seed,
                        prefix=opening.steps,
                        prefix_tokenizer=opening.origin.tokenizer,
                        stream=running.first_sample + k,
                    )

    def _numbered(self, contrasts: Sequence[Contrast]) -> Iterator[_Running]:
        """Each with the number of its first sample in its task."""
        num_of_task: dict[str, int] = {}
        for contrast in contrasts:
            before = num_of_task.get(contrast.task_id, 0)
            num_of_task[contrast.task_id] = before + 2 * self._looks.looks[-1]
            yield _Running(contrast, before)

    def _sample_index(self, running: _Running, which: int, k: int) -> int:
        return running.first_sample + which * self._looks.looks[-1] + k

    def _spent(self) -> str | None:
        budget = self._budget
        for limit, used, what in (
            (budget.environment_steps, self._num_environment_steps, "environment steps"),
            (budget.turns, self._num_turns, "turns"),
        ):
            if limit is not None and used >= limit:
                return f"the budget of {limit:,} {what} is spent ({used:,} taken)"
        return None

    def _acknowledge(self, state: Played) -> None:
        self._keep(state.trajectory)
        self._told(state)

    def _keep(self, trajectory: Trajectory) -> None:
        if trajectory.status != "error" and trajectory.origin.sample_index is not None:
            self._ended[trajectory.task_id, trajectory.origin.sample_index] = trajectory


def _measured(running: _Running) -> Measured:
    num_both = min(map(len, running.returns))
    better, other = (tuple(returns[:num_both]) for returns in running.returns)
    return Measured(running.contrast, (better, other), running.look, running.verdict)


def _differences(returns: tuple[Sequence[float], Sequence[float]]) -> list[float]:
    return [one - two for one, two in zip(*returns, strict=True)]
