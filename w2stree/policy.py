"""The policy protocol, and the two policies that need no model.

A policy is asked for many turns at once (one per running episode), so that a model can
batch them; it answers in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.react import render_turn
from w2stree.trajectory import Message, Step

ModelName = Literal["tuned", "base"]
"""`tuned`: the model explored with. `base`: what it was before its fine-tuning."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampling configuration. `temperature` 0 is greedy decoding (ties to the lowest id).

    `model` says which model plays; a policy is one model, so whoever makes the plans asks the
    policy of that model.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    model: ModelName = "tuned"

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise InvalidInput(f"temperature is {self.temperature}; give a number >= 0")
        if not 0.0 < self.top_p <= 1.0:
            raise InvalidInput(f"top_p is {self.top_p}; give a number in (0, 1]")
        if self.model not in get_args(ModelName):
            raise InvalidInput(f"model is {self.model!r}; use one of {get_args(ModelName)}")


@dataclass(slots=True)
class Episode:
    """A running episode as a policy sees it: the history so far and how to sample.

    `key` is unique in a run; a policy may keep a cache by it. `rng` is the episode's own, so
    its samples do not depend on which other episodes run beside it.
    """

    key: int
    prompt: tuple[Message, ...]
    sampling: Sampling
    rng: np.random.Generator
    admissible_actions: list[str]
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """One agent turn: its text, the sampled ids and their log-probabilities when sampled."""

    response: str
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None


class Policy(Protocol):
    """An agent."""

    info: Mapping[str, str]
    """What its trajectories' `info` says of it: `policy`, and the `tokenizer` of its ids."""

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn]:
        """The next turn of each episode, in order."""

    def forget(self, key: int) -> None:
        """The episode has ended: drop what is kept for it."""


class RandomPolicy:
    """Plays at random among the admissible actions: reward-free play, and the floor of a table.

    `by_verb` draws the verb first (an action's first word), then the action: an environment
    with forty things to examine and one to cook is then not all examining.
    """

    def __init__(self, *, by_verb: bool = False) -> None:
        self.info: Mapping[str, str] = {"policy": "random"}
        self._by_verb = by_verb

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn]:
        return [AgentTurn(render_turn("", self._choose(e))) for e in episodes]

    def forget(self, key: int) -> None:
        pass

    def _choose(self, episode: Episode) -> str:
        actions = episode.admissible_actions
        if self._by_verb:
            verbs = sorted({action.split()[0] for action in actions})
            verb = verbs[int(episode.rng.integers(len(verbs)))]
            actions = [action for action in actions if action.split()[0] == verb]
        return actions[int(episode.rng.integers(len(actions)))]
