"""Random play: reward-free transcripts, and the floor of a table."""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.errors import ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.turns.react import render_turn
from w2stree.turns.turn import AgentTurn


class RandomPolicy:
    """Plays at random among the admissible actions: reward-free play, and the floor of a table.

    `by_verb` draws the verb first (an action's first word), then the action: an environment
    with forty things to examine and one to cook is then not all examining. The episode
    fails (`ModelFailure`) if the engine lists no admissible actions.
    """

    name = "random"
    tokenizer: str | None = None
    needs_expert = False

    def __init__(self, *, by_verb: bool = False) -> None:
        self._by_verb = by_verb

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        return [random_turn(episode, by_verb=self._by_verb) for episode in episodes]

    def forget(self, key: int) -> None:
        pass


def random_turn(episode: Episode, *, by_verb: bool = False) -> AgentTurn | ModelFailure:
    """One admissible action at random, drawn from the episode's generator."""
    actions = episode.admissible_actions
    if not actions:
        return ModelFailure("the environment lists no admissible actions to choose from")
    if by_verb:
        verbs = sorted({action.split()[0] for action in actions})
        verb = verbs[int(episode.rng.integers(len(verbs)))]
        actions = [action for action in actions if action.split()[0] == verb]
    return AgentTurn(render_turn("", actions[int(episode.rng.integers(len(actions)))]))
