"""One rollout from its plan to its trajectory, whoever drives its environment and its policy.

plan ─ begin ─> episode ─┬─ policy's turn ─ advance ─┬─> status ─> trajectory, or Unplayed
                         └───────────<───────────────┘
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from w2stree.environments.protocol import Info, Snapshot
from w2stree.errors import (
    ContextExceeded,
    EnvironmentFailure,
    EnvironmentNotStarted,
    InvalidInput,
    ModelFailure,
    ServerUnreachable,
)
from w2stree.policies.protocol import AsyncPolicy, Episode, Policy, Sampling
from w2stree.shorten import excerpt
from w2stree.trajectories import fields
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.times import EpisodeTimes
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Message, Status, Step, Trajectory
from w2stree.turns.react import UNPARSED
from w2stree.turns.turn import AgentTurn

Call = tuple[Any, ...]
"""A method of the environment and its arguments."""

Timed = Callable[[EpisodeTimes], None]
"""Told of each episode as it ends, just before whoever waits for it: when it was played."""


def untimed(times: EpisodeTimes) -> None:
    """Nobody asks."""


Exchange = Generator[Call, Any, Status | None]
"""Yields calls and is sent their answers; returns the episode's status once it is over."""


@dataclass(frozen=True, slots=True)
class EpisodePlan:
    """One rollout to make. Its random stream depends on run seed, task and sample alone, or, where
    there is one, on `stream` instead of the sample: plans of one stream draw the same numbers.

    `attempt` counts tries after errors of environment or model; every try draws the same, so
    that a run's samples do not depend on what failed. A `prefix` means: start from the state
    these steps of another trajectory of the task lead to; they become the trajectory's first.
    `prefix_tokenizer` is the fingerprint of the tokenizer that their ids are of, None where it is
    not known.
    """

    task_id: str
    sample_index: int
    sampling: Sampling
    seed: int
    attempt: int = 0
    prefix: tuple[Step, ...] = ()
    prefix_tokenizer: str | None = None
    stream: int | None = None

    def read_by(self, tokenizer: str | None) -> EpisodePlan:
        """The plan for a model of this tokenizer: ids of another one are none of its own, and it
        reads the words of such turns anew."""
        if tokenizer == self.prefix_tokenizer:
            return self
        prefix = tuple(replace(step, token_ids=None, logprobs=None) for step in self.prefix)
        return replace(self, prefix=prefix, prefix_tokenizer=tokenizer)

    def rng(self) -> np.random.Generator:
        number = self.sample_index if self.stream is None else self.stream
        name = f"{self.seed}/{self.task_id}/{number}".encode("utf-8", "surrogatepass")
        return np.random.default_rng(list(hashlib.sha256(name).digest()))


@dataclass(frozen=True, slots=True)
class Unplayed:
    """An episode that the environment or the model's server was not there for: no attempt at its
    sample. `trajectory` is the error row that it would be."""

    trajectory: Trajectory
    cause: EnvironmentNotStarted | ServerUnreachable


Ended = Generator[Trajectory | Unplayed, None, None]
"""Episodes as they end; closing it stops those that run."""


class RunningEpisode:
    """A plan being played in the environment of a pool's `slot`."""

    def __init__(self, plan: EpisodePlan, *, slot: int, key: int, instruction: str) -> None:
        self.slot = slot
        self.error: str | None = None
        self._absent: EnvironmentNotStarted | ServerUnreachable | None = None
        self._truncated_by: str | None = None
        self._plan, self._instruction = plan, instruction
        self.episode = Episode(key, (), plan.sampling, plan.rng(), [], list(plan.prefix))
        self._score = 0.0
        self._raw_score: float | None = None
        self._counts: list[int | None] = []  # tokens of each of its own turns
        self.times = EpisodeTimes(plan.task_id, plan.sample_index, plan.attempt, slot)
        self._mark()
        self._has_all_ids = True

    def begin(self, *, with_expert: bool) -> Exchange:
        """Reset, fetch the expert's turns where they are wanted, go to the prefix's end."""
        plan, episode = self._plan, self.episode
        statement, info = yield "reset", plan.task_id
        episode.prompt = opening(self._instruction, statement)
        if with_expert:
            episode.expert = tuple((yield ("expert",)))
        if plan.prefix:
            _, info = yield (
                "restore",
                Snapshot(
                    plan.task_id,
                    tuple(step.action for step in plan.prefix),
                    tuple(step.observation for step in plan.prefix),
                ),
            )
        self._score_by(info)
        episode.admissible_actions = info["admissible_actions"]
        episode.multi_line = info.get("multi_line", False)
        self._mark()
        return None

    def hear(self, turn: object) -> AgentTurn | ModelFailure:
        """The policy's answer, as it may be played and written down.

        What no step can hold (ids that are no integers, NaN as a log-probability, other numbers
        of both) came from a model or its server, and fails this episode. Raises `InvalidInput`
        for what is neither a turn nor a failure: such a policy has no right answer to any.
        """
        self._mark()
        if isinstance(turn, ModelFailure):
            return turn
        if not isinstance(turn, AgentTurn):
            raise InvalidInput(
                f"the policy answered {fields.shown(turn)}; expected an AgentTurn or a ModelFailure"
            )
        count = turn.num_tokens
        try:
            said = Step("", "", turn.response, turn.token_ids, turn.logprobs, is_cut=turn.is_cut)
            return replace(
                turn,
                response=said.response,
                token_ids=said.token_ids,
                logprobs=said.logprobs,
                tool_calls=fields.items(turn.tool_calls, "tool_calls", ToolCall),
                is_cut=said.is_cut,
                num_tokens=None if count is None else fields.integer(count, "num_tokens"),
            )
        except InvalidInput as error:
            return ModelFailure(f"the policy's turn cannot be kept: {error}")

    def advance(self, turn: AgentTurn) -> Exchange:
        """Play the turn. One without an action costs a step and is told so."""
        self._counts.append(turn.num_tokens if turn.token_ids is None else len(turn.token_ids))
        self._has_all_ids &= turn.token_ids is not None
        action = self.episode.action(turn)
        observation, reward, terminated, truncated, info = yield "step", action or ""
        self.episode.steps.append(
            Step(
                action or "",
                observation if action else UNPARSED,
                turn.response,
                turn.token_ids,
                turn.logprobs,
                reward,
                turn.tool_calls,
                turn.is_cut,
            )
        )
        self.episode.admissible_actions = info["admissible_actions"]
        self._score_by(info)
        self._mark()
        return "done" if terminated else "truncated" if truncated else None

    @property
    def _num_tokens(self) -> int | None:
        """Sampled tokens of its own turns; None where their ids say it, or nothing does."""
        counts = [count for count in self._counts if count is not None]
        return sum(counts) if not self._has_all_ids and len(counts) == len(self._counts) else None

    def fail(self, failure: ModelFailure | EnvironmentFailure) -> Status:
        """There is no next turn, or no answer to one. What was played before the model's last
        position counts."""
        if isinstance(failure, ContextExceeded):
            self._truncated_by = excerpt(str(failure))
            return "truncated"
        if isinstance(failure, EnvironmentNotStarted | ServerUnreachable):
            self._absent = failure
        self.error = excerpt(str(failure))
        return "error"

    def _mark(self) -> None:
        """The time, which a clock that is set back does not turn round."""
        marks = self.times.marks
        marks.append(max([time.time(), *marks[-1:]]))

    def _score_by(self, info: Info) -> None:
        self._score, self._raw_score = info["score"], info.get("raw_score")

    def ended(self, status: Status, policy: Policy | AsyncPolicy) -> Trajectory | Unplayed:
        """What came of it."""
        self._mark()
        trajectory = self._trajectory(status, policy)
        return trajectory if self._absent is None else Unplayed(trajectory, self._absent)

    def _trajectory(self, status: Status, policy: Policy | AsyncPolicy) -> Trajectory:
        """What was played; its origin names the plan, the policy and the cause of an end
        that the environment did not make."""
        plan, sampling = self._plan, self._plan.sampling
        return Trajectory(
            task_id=plan.task_id,
            prompt=self.episode.prompt,
            steps=tuple(self.episode.steps),
            total_return=self._score,
            status=status,
            origin=Origin(
                sample_index=plan.sample_index,
                attempt=plan.attempt,
                seed=plan.seed,
                prefix_length=len(plan.prefix),
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                model=sampling.model,
                policy=policy.name,
                tokenizer=policy.tokenizer,
                error=self.error,
                truncated_by=self._truncated_by,
                raw_return=self._raw_score,
                num_tokens=self._num_tokens,
            ),
        )


def opening(instruction: str, statement: str) -> tuple[Message, ...]:
    """The messages before the first action: how to act, then the task and what is seen."""
    return (Message("user", f"{instruction}\n{statement}" if instruction else statement),)
