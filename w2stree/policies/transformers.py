"""A policy that plays many episodes in lockstep with a local transformers model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from w2stree.errors import ContextExceeded, ModelFailure
from w2stree.policies.forward import Forward
from w2stree.policies.kv_cache import LockstepCache
from w2stree.policies.positions import max_positions
from w2stree.policies.protocol import Episode
from w2stree.policies.sampling import Sampler
from w2stree.policies.separate_caches import SeparateCaches
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import Turn, TurnGrammar
from w2stree.turns.turn import AgentTurn, sampled_turn


class TransformersPolicy:
    """Batched generation, one turn of every episode a call, histories cached between calls.

    Sampled ids and their log-probabilities, under the sampled distribution, are kept in the
    turns. An episode is read as if it were alone: side by side with others where the model's
    layers keep keys and values, else one after the other (`Forward`). One whose next token would
    come after the model's last position fails with `ContextExceeded`, without the turn it was in.

    Raises `InvalidInput` for a model that cannot be read so, by its name.
    """

    name = "transformers"
    needs_expert = False

    def __init__(self, model: Any, tokenizer: Any, *, decoding: Decoding = Decoding()) -> None:
        self._forward = Forward(model.eval())
        self._chat = ChatFormat(tokenizer)
        self._grammar = TurnGrammar(self._chat, decoding)
        self.tokenizer: str | None = self._chat.fingerprint()
        self._sampler = Sampler()
        self._limit = max_positions(model.config)
        self._cache: LockstepCache | SeparateCaches | None = None
        self._episodes: dict[int, Episode] = {}  # those in the cache, by key
        self._unseen: dict[int, list[int]] = {}  # ids of an episode the cache does not hold yet
        self.num_generated_tokens = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        """The next turn of each episode. Cost: one forward pass per sampled token position.

        All episodes of a call share one cache: an episode the last call did not have makes
        the cache be built anew, so start episodes together. A failure is of its episode alone;
        where the device's memory does not suffice it is of all.
        """
        if not episodes:
            return []
        cache = self._cached(episodes)
        turns = [self._grammar.start(episode.admissible_actions) for episode in episodes]
        try:
            failures = self._generate(cache, episodes, turns)
        except torch.OutOfMemoryError as error:
            self._cache = None
            failures = dict.fromkeys(
                range(len(episodes)),
                ModelFailure(f"{len(episodes)} episodes at a time are too many here: {error}"),
            )
        self.num_generated_tokens += sum(len(turn.ids) for turn in turns)
        return [
            failures.get(i) or sampled_turn(self._chat, turn.ids, turn.logprobs)
            for i, turn in enumerate(turns)
        ]

    def forget(self, key: int) -> None:
        self._episodes.pop(key, None)
        self._unseen.pop(key, None)

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
        """Fill the turns; the failures of those that fail, by place."""
        failures: dict[int, ModelFailure] = {}
        chunks = [self._unseen[e.key] + t.ids for e, t in zip(episodes, turns, strict=True)]
        while True:
            for i, (episode, turn) in enumerate(zip(episodes, turns, strict=True)):
                length = cache.length[episode.key] + len(chunks[i])
                if not turn.is_done and self._limit is not None and length > self._limit:
                    failures[i] = ContextExceeded(
                        f"a history of {length} tokens and the model has {self._limit} positions"
                    )
            is_open = [not turn.is_done and i not in failures for i, turn in enumerate(turns)]
            rows = [i for i, is_one in enumerate(is_open) if is_one]
            if not rows:
                break
            # A finished turn's last tokens wait for the next call, which brings the answer.
            logits = cache.extend([c if o else [] for c, o in zip(chunks, is_open, strict=True)])
            sampled = self._sampler.sample(
                logits if len(rows) == len(turns) else logits[rows],
                [_array(turns[i].allowed) for i in rows],
                [episodes[i] for i in rows],
            )
            for i, token in zip(rows, sampled, strict=True):
                if isinstance(token, ModelFailure):
                    failures[i] = token
                    continue
                before = len(turns[i].ids)
                turns[i].push(*token)
                chunks[i] = turns[i].ids[before:]
        for episode, chunk in zip(episodes, chunks, strict=True):
            self._unseen[episode.key] = chunk
        return failures


def _array(allowed: Any) -> Any:
    return None if allowed is None else np.asarray(allowed)
