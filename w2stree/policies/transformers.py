"""A policy that plays many episodes in lockstep with a local transformers model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from w2stree.errors import ContextExceeded, ModelFailure
from w2stree.policies.forward import Forward
from w2stree.policies.kv_cache import LockstepCache
from w2stree.policies.positions import max_positions
from w2stree.policies.protocol import Episode
from w2stree.policies.question import eos_ids
from w2stree.policies.sampling import Sampler
from w2stree.policies.separate_caches import SeparateCaches
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import Turn, TurnGrammar
from w2stree.turns.turn import AgentTurn


class TransformersPolicy:
    """Batched generation, one turn of every episode a call, histories cached between calls.

    Sampled ids and their log-probabilities, under the sampled distribution, are kept in the
    turns. Every episode is read as if it were alone: side by side with the others where the
    model's layers keep keys and values, else one after the other (`Forward`). Raises `InvalidInput`
    for a model that cannot be read so.
    """

    name = "transformers"
    needs_expert = False

    def __init__(self, model: Any, tokenizer: Any, *, decoding: Decoding = Decoding()) -> None:
        self._forward = Forward(model.eval())
        self._max_positions = max_positions(model.config)
        self._chat = ChatFormat(tokenizer)
        self._grammar = TurnGrammar(self._chat, decoding, eos_ids=eos_ids(model.generation_config))
        self._sampler = Sampler()
        self.tokenizer: str | None = self._chat.fingerprint()
        self._cache: LockstepCache | SeparateCaches | None = None
        self._episodes: dict[int, Episode] = {}  # those in the cache, by key
        self._unseen: dict[int, list[int]] = {}  # ids of an episode the cache does not hold yet
        self.num_generated_tokens = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        """The next turn of each episode. Cost: one forward pass per sampled token position.

        All episodes of a call share one cache: an episode the last call did not have makes
        the cache be built anew, so start episodes together. A turn that comes to the model's last
        position is dropped: its episode fails with `ContextExceeded`. Where the device's memory
        does not suffice, all fail.
        """
        turns = [self._start(episode) for episode in episodes]
        begun = [(e, t) for e, t in zip(episodes, turns, strict=True) if isinstance(t, Turn)]
        failures: dict[int, ModelFailure] = {}
        if begun:
            failures = self._play([episode for episode, _ in begun], [turn for _, turn in begun])
        return [
            turn if isinstance(turn, ModelFailure) else failures.get(episode.key) or turn.said()
            for episode, turn in zip(episodes, turns, strict=True)
        ]

    def forget(self, key: int) -> None:
        self._episodes.pop(key, None)
        self._unseen.pop(key, None)

    def _start(self, episode: Episode) -> Turn | ModelFailure:
        try:
            return self._grammar.start(episode.admissible_actions)
        except ModelFailure as failure:
            return failure

    def _play(self, episodes: Sequence[Episode], turns: Sequence[Turn]) -> dict[int, ModelFailure]:
        """Fill the turns; the failures of episodes that have none, by key."""
        cache = self._cached(episodes)
        try:
            failures = self._generate(cache, episodes, turns)
        except torch.OutOfMemoryError as error:
            self._cache = None
            failure = ModelFailure(f"{len(episodes)} episodes side by side are too many: {error}")
            failures = {episode.key: failure for episode in episodes}
        self.num_generated_tokens += sum(len(turn.ids) for turn in turns)
        return failures

    def _cached(self, episodes: Sequence[Episode]) -> LockstepCache | SeparateCaches:
        """The cache of these episodes; what it has not read of them is in `_unseen`."""
        keys = [episode.key for episode in episodes]
        # Each rollout counts its keys from 0, and an episode may begin with a prefix's steps:
        # only the object itself tells whether the cache holds its history.
        is_cached = all(self._episodes.get(e.key) is e for e in episodes)
        if self._cache is not None and is_cached:
            self._cache.select(keys)
            for episode in episodes:
                answer = self._chat.observation_ids(episode.steps[-1].observation)
                self._unseen[episode.key] += answer
            return self._cache
        kind = LockstepCache if self._forward.is_side_by_side else SeparateCaches
        self._cache = kind(self._forward, keys)
        self._episodes = {e.key: e for e in episodes}
        self._unseen = {e.key: self._chat.history_ids(e.prompt, e.steps) for e in episodes}
        return self._cache

    def _generate(
        self,
        cache: LockstepCache | SeparateCaches,
        episodes: Sequence[Episode],
        turns: Sequence[Turn],
    ) -> dict[int, ModelFailure]:
        failures: dict[int, ModelFailure] = {}
        unseen = self._unseen
        for episode, turn in zip(episodes, turns, strict=True):
            unseen[episode.key] += turn.ids
        while True:
            running = []
            for episode, turn in zip(episodes, turns, strict=True):
                if not turn.is_done and episode.key not in failures:
                    length = cache.length[episode.key] + len(unseen[episode.key])
                    if self._max_positions is not None and length > self._max_positions:
                        failures[episode.key] = ContextExceeded(
                            f"its history is of {length} tokens, and the model has "
                            f"{self._max_positions} positions"
                        )
                    else:
                        running.append((episode, turn))
            if not running:
                return failures
            # A finished turn's last tokens wait for the next call, which brings the answer.
            is_read = {episode.key for episode, _ in running}
            logits = cache.extend([unseen[k] if k in is_read else [] for k in cache.length])
            if len(running) < len(turns):
                logits = logits[[i for i, key in enumerate(cache.length) if key in is_read]]
            sampled = self._sampler.sample(
                logits, [turn.allowed for _, turn in running], [episode for episode, _ in running]
            )
            for (episode, turn), token in zip(running, sampled, strict=True):
                if isinstance(token, ModelFailure):
                    failures[episode.key] = token
                else:
                    unseen[episode.key] = _push(cache, episode.key, turn, token)


def _push(
    cache: LockstepCache | SeparateCaches, key: int, turn: Turn, token: tuple[int, float]
) -> list[int]:
    """Push a token; the ids of the turn that the cache, which has read all before, lacks now."""
    before = list(turn.ids)
    turn.push(*token)
    kept = len(before)
    while turn.ids[:kept] != before[:kept]:
        kept -= 1  # a mark of several tokens that ends no turn here: its first ones were read
    if kept < len(before):
        cache.drop(key, len(before) - kept)
    return turn.ids[kept:]
