"""The two policy protocols, and what a policy is asked.

A `Policy` is asked for many turns at once (one per running episode), so that a model can batch
them; it answers in the same order. An `AsyncPolicy` is asked for one turn at a time by many
episodes that do not wait for each other: right where a server does the batching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from w2stree.environments.protocol import ExpertTurn
from w2stree.errors import InvalidInput, ModelFailure
from w2stree.trajectories.field_types import check_field_types
from w2stree.trajectories.tool_call import action_of
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.react import parse_action
from w2stree.turns.turn import AgentTurn

ModelName = Literal["tuned", "base"]
"""`tuned`: the model explored with. `base`: what it was before its fine-tuning."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampling configuration. `temperature` 0 is greedy decoding (ties to the lowest id).

    `model` says which model plays; a policy is one model, so whoever makes the plans asks the
    policy of that model.

    Raises `InvalidInput` unless `temperature` is finite and >= 0, `top_p` in (0, 1] and `model`
    one of `ModelName`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    temperature: float = 1.0
    top_p: float = 1.0
    model: ModelName = "tuned"

    def __post_init__(self) -> None:
        check_field_types(self)
        if not 0.0 <= self.temperature < float("inf"):
            raise InvalidInput(f"temperature is {self.temperature}; give a number >= 0")
        if not 0.0 < self.top_p <= 1.0:
            raise InvalidInput(f"top_p is {self.top_p}; give a number in (0, 1]")
        if self.model not in get_args(ModelName):
            raise InvalidInput(
                f"model is {self.model!r}; use one of {', '.join(get_args(ModelName))}"
            )


@dataclass(slots=True)
class Episode:
    """A running episode as a policy sees it: the history so far and how to sample.

    One object from an episode's first turn to its last; `key` names it within its rollout.
    `rng` is the episode's own, so its samples do not depend on which others run beside it.
    `expert` is the environment's solution of the task, if the policy `needs_expert`.
    `multi_line`: the environment takes actions of several lines.
    """

    key: int
    prompt: tuple[Message, ...]
    sampling: Sampling
    rng: np.random.Generator
    admissible_actions: list[str]
    steps: list[Step] = field(default_factory=list)
    expert: tuple[ExpertTurn, ...] = ()
    multi_line: bool = False

    def action(self, turn: AgentTurn) -> str | None:
        """The action of its next turn, as the environment is to take it; None without one.

        Of tool calls it is the merge key made of them (`action_of`), else `parse_action`'s.
        """
        if turn.tool_calls:
            return action_of(turn.tool_calls)
        return parse_action(
            turn.response,
            actions=self.admissible_actions,
            multi_line=self.multi_line,
            is_cut=turn.is_cut,
            begins_in_thinking=turn.begins_in_thinking,
        )


@runtime_checkable
class Policy(Protocol):
    """An agent that answers for all running episodes at once."""

    name: str
    """Who played, in its trajectories' `origin.policy`."""

    tokenizer: str | None
    """The fingerprint of the tokenizer that its turns' ids are of (`ChatFormat.fingerprint`);
    None where it gives none, or does not know."""

    needs_expert: bool
    """Whether it is given the environment's solution of the task (`Episode.expert`)."""

    def act(self, episodes: Sequence[Episode]) -> Sequence[AgentTurn | ModelFailure]:
        """The next turn of each episode, in order; a failure ends its episode alone."""

    def forget(self, key: int) -> None:
        """The episode has ended: drop what is kept for it."""


@runtime_checkable
class AsyncPolicy(Protocol):
    """An agent that answers episode by episode, many at a time."""

    name: str
    tokenizer: str | None
    needs_expert: bool
    """All three as in `Policy`."""

    async def turn(self, episode: Episode) -> AgentTurn:
        """The episode's next turn; raises `ModelFailure`, which ends this episode alone."""

    async def close(self) -> None:
        """The rollout has ended, and its event loop with it: drop connections bound to it."""
