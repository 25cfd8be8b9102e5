"""Policies whose tokens must be counted: the first turn that says no number ends the rollout."""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.policies.protocol import AsyncPolicy, Episode, Policy
from w2stree.turns.turn import AgentTurn

UNCOUNTED = (
    "budget.tokens cannot be counted: {what} without token ids, and neither the policy nor its "
    "server says how many tokens they took; limit budget.episodes instead"
)


def counted(policy: Policy | AsyncPolicy) -> Policy | AsyncPolicy:
    """The policy, whose turns raise `InvalidInput` where nobody can count their tokens."""
    return _Async(policy) if isinstance(policy, AsyncPolicy) else _Lockstep(policy)


class _Lockstep:
    def __init__(self, policy: Policy) -> None:
        self.name, self.tokenizer = policy.name, policy.tokenizer
        self.needs_expert = policy.needs_expert
        self._policy = policy
        self.forget = policy.forget

    def act(self, episodes: Sequence[Episode]) -> Sequence[AgentTurn | ModelFailure]:
        turns = self._policy.act(episodes)
        for turn in turns:
            if isinstance(turn, AgentTurn):
                _refuse_uncounted(self.name, turn)
        return turns


class _Async:
    def __init__(self, policy: AsyncPolicy) -> None:
        self.name, self.tokenizer = policy.name, policy.tokenizer
        self.needs_expert = policy.needs_expert
        self._policy = policy
        self.close = policy.close

    async def turn(self, episode: Episode) -> AgentTurn:
        turn = await self._policy.turn(episode)
        _refuse_uncounted(self.name, turn)
        return turn


def _refuse_uncounted(name: str, turn: AgentTurn) -> None:
    if turn.token_ids is None and turn.num_tokens is None:
        raise InvalidInput(UNCOUNTED.format(what=f"turns of {name} come"))
