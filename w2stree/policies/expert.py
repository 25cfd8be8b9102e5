"""A policy that follows the environment's own solution: cheap trees of known quality."""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.environments.protocol import ExpertTurn
from w2stree.errors import InvalidInput, ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.policies.random import Listing, random_turn
from w2stree.shorten import quoted
from w2stree.turns.react import render_turn
from w2stree.turns.turn import AgentTurn


class ExpertPolicy:
    """Follows the environment's solution; with probability `noise` a random action instead.

        expert   a1  a2  a3  a4              taken: a1  x  a2  a3  y  a4
                  ^ next: the first the episode has not taken yet, in this order

    A random action does not move the place in the solution, unless it happens to be the next
    one; when the solution is used up, play is random. So noise makes detours, and failures
    where a detour cannot be undone: trees with branches for the price of the environment alone.
    Noise without actions to choose from is an error, as in `RandomPolicy`.
    """

    tokenizer: str | None = None
    needs_expert = True

    def __init__(self, *, noise: float = 0.0) -> None:
        if not 0.0 <= noise <= 1.0:
            raise InvalidInput(f"noise is {noise}; give a probability")
        self.name = f"expert(noise={noise:g})"
        self._noise = noise
        self._listing = Listing(self.name)

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        """Raises as `RandomPolicy.act` does, where there is noise."""
        if self._noise:
            self._listing.require(episodes)
        return [self._turn(episode) for episode in episodes]

    def forget(self, key: int) -> None:
        pass

    def _turn(self, episode: Episode) -> AgentTurn | ModelFailure:
        expert = _next_expert_turn(episode)
        # Drawn every turn, so that where the solution ends does not shift what follows.
        is_noise = episode.rng.random() < self._noise
        if expert is None and not episode.admissible_actions:
            return ModelFailure(
                "the expert's solution is used up before the episode's end, and the environment "
                "lists no actions to go on with at random"
            )
        if expert is None or is_noise:
            return random_turn(episode)
        turn = AgentTurn(render_turn(expert.thought, expert.action))
        if episode.action(turn) != expert.action:
            return ModelFailure(
                f"the expert does {quoted(expert.action, 200)}, which no turn can say: it would be "
                f"read as {quoted(episode.action(turn) or '', 200)}"
            )
        return turn


def _next_expert_turn(episode: Episode) -> ExpertTurn | None:
    place = 0
    for step in episode.steps:
        if place < len(episode.expert) and step.action == episode.expert[place].action:
            place += 1
    return episode.expert[place] if place < len(episode.expert) else None
