"""Random play: reward-free transcripts, and the floor of a table."""

from __future__ import annotations

from collections.abc import Sequence

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.trajectories.trajectory import Message
from w2stree.turns.react import render_turn
from w2stree.turns.turn import AgentTurn

_SEVERAL = 3


class RandomPolicy:
    """Plays at random among the admissible actions: reward-free play, and the floor of a table.

    `by_verb` draws the verb first (an action's first word), then the action: an environment
    with forty things to examine and one to cook is then not all examining. An episode
    fails (`ModelFailure`) where the environment lists no admissible actions.
    """

    name = "random"
    tokenizer: str | None = None
    needs_expert = False

    def __init__(self, *, by_verb: bool = False) -> None:
        self._by_verb = by_verb
        self._listing = Listing(self.name)

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        """Raises `InvalidInput` where three tasks list no action and none has listed any."""
        self._listing.require(episodes)
        return [random_turn(episode, by_verb=self._by_verb) for episode in episodes]

    def forget(self, key: int) -> None:
        pass


class Listing:
    """Whether environments list their actions, or what fails is but one task that has none."""

    def __init__(self, policy: str) -> None:
        self._policy, self._is_seen = policy, False
        self._openings: set[tuple[Message, ...]] = set()

    def require(self, episodes: Sequence[Episode]) -> None:
        """Raises `InvalidInput` where several tasks list none, and none ever did: every episode
        would fail."""
        self._is_seen = self._is_seen or any(e.admissible_actions for e in episodes)
        if self._is_seen:
            return
        self._openings.update(episode.prompt for episode in episodes)
        if len(self._openings) >= _SEVERAL:
            raise InvalidInput(
                f"{self._policy} chooses among the actions that the environment lists, and it "
                "lists none: have it list them (ScienceWorld: list_actions), or use another policy"
            )


def random_turn(episode: Episode, *, by_verb: bool = False) -> AgentTurn | ModelFailure:
    """One admissible action at random, drawn from the episode's generator."""
    actions = episode.admissible_actions
    if not actions:
        return ModelFailure("the environment lists no admissible actions to choose from here")
    if by_verb:
        verbs = sorted({_verb(action) for action in actions})
        verb = verbs[int(episode.rng.integers(len(verbs)))]
        actions = [action for action in actions if _verb(action) == verb]
    return AgentTurn(render_turn("", actions[int(episode.rng.integers(len(actions)))]))


def _verb(action: str) -> str:
    return (action.split() or [""])[0]
