"""A policy that plays many episodes in lockstep with a local transformers model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import ModelFailure
from w2stree.policies.kv_cache import LockstepCache
from w2stree.policies.protocol import Episode
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import Turn, TurnGrammar
from w2stree.turns.turn import AgentTurn


class TransformersPolicy:
    """Batched generation, one turn of every episode a call, histories cached between calls.

    Sampled ids and their log-probabilities, under the sampled distribution, are kept in the
    turns.
    """

    name = "transformers"
    needs_expert = False

    def __init__(self, model: Any, tokenizer: Any, *, decoding: Decoding = Decoding()) -> None:
        self._model = model.eval()
        self._chat = ChatFormat(tokenizer)
        self._grammar = TurnGrammar(self._chat, decoding, eos_ids=_eos_ids(model))
        self.tokenizer: str | None = self._chat.fingerprint()
        self._cache: LockstepCache | None = None
        self._episodes: dict[int, Episode] = {}  # those in the cache, by key
        self._unseen: dict[int, list[int]] = {}  # ids of an episode the cache does not hold yet
        self.num_generated_tokens = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn | ModelFailure]:
        """The next turn of each episode. Cost: one forward pass per sampled token position.

        All episodes of a call share one cache: an episode the last call did not have makes
        the cache be built anew, so start episodes together.
        """
        turns = [self._start(episode) for episode in episodes]
        begun = [(e, t) for e, t in zip(episodes, turns, strict=True) if isinstance(t, Turn)]
        if begun:
            self._play([episode for episode, _ in begun], [turn for _, turn in begun])
        return [turn.said() if isinstance(turn, Turn) else turn for turn in turns]

    def _start(self, episode: Episode) -> Turn | ModelFailure:
        try:
            return self._grammar.start(episode.admissible_actions)
        except ModelFailure as failure:
            return failure

    def _play(self, episodes: Sequence[Episode], turns: Sequence[Turn]) -> None:
        keys = [episode.key for episode in episodes]
        # Each rollout counts its keys from 0, and an episode may begin with a prefix's steps:
        # only the object itself tells whether the cache holds its history.
        is_cached = all(self._episodes.get(e.key) is e for e in episodes)
        if self._cache is None or not is_cached:
            self._cache = LockstepCache(self._model, keys)
            self._episodes = {e.key: e for e in episodes}
            self._unseen = {e.key: self._chat.history_ids(e.prompt, e.steps) for e in episodes}
        else:
            self._cache.select(keys)
            for episode in episodes:
                answer = self._chat.observation_ids(episode.steps[-1].observation)
                self._unseen[episode.key] += answer
        self._generate(self._cache, episodes, turns)
        self.num_generated_tokens += sum(len(turn.ids) for turn in turns)

    def forget(self, key: int) -> None:
        self._episodes.pop(key, None)
        self._unseen.pop(key, None)

    def _generate(
        self, cache: LockstepCache, episodes: Sequence[Episode], turns: Sequence[Turn]
    ) -> None:
        chunks = [self._unseen[e.key] + t.ids for e, t in zip(episodes, turns, strict=True)]
        while True:
            open_rows = [i for i, turn in enumerate(turns) if not turn.is_done]
            if not open_rows:
                break
            # A finished turn's last tokens wait for the next call, which brings the answer.
            sent = [[] if turns[i].is_done else chunk for i, chunk in enumerate(chunks)]
            logits = cache.extend(sent).cpu().numpy()
            for i in open_rows:
                turn, before = turns[i], len(turns[i].ids)
                token, logprob = sample(logits[i], turn.allowed, episodes[i])
                turn.push(token, logprob)
                chunks[i] = turn.ids[before:]
        for episode, chunk in zip(episodes, chunks, strict=True):
            self._unseen[episode.key] = chunk


def _eos_ids(model: Any) -> list[int]:
    """The ids at which the model's own configuration ends what it says."""
    eos = model.generation_config.eos_token_id
    return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)


def sample(
    logits: NDArray[np.float32], allowed: NDArray[np.int64] | None, episode: Episode
) -> tuple[int, float]:
    """One token and its log-probability from logits (vocabulary,), restricted to `allowed`.

    Temperature first, then the nucleus: the fewest tokens whose mass reaches `top_p`, ties
    to the lowest id. Exactly one number is drawn from the episode's generator, so that a
    run's samples do not depend on the batch around it. Greedy choices have log-probability 0.
    """
    ids = allowed
    scores = (logits if ids is None else logits[ids]).astype(np.float64)
    sampling = episode.sampling
    if sampling.temperature == 0.0:
        choice, logprob = int(scores.argmax()), 0.0
    else:
        probability = np.exp((scores - scores.max()) / sampling.temperature)
        probability /= probability.sum()
        draw = episode.rng.random()
        is_whole = sampling.top_p == 1.0  # then the head need only reach what was drawn
        order, cumulative = _most_likely(probability, draw if is_whole else sampling.top_p)
        size = int((cumulative < sampling.top_p).sum()) + 1
        nucleus = cumulative[:size]
        mass = probability.sum() if is_whole else nucleus[-1]
        rank = int((nucleus[:-1] <= draw * mass).sum())
        choice = int(order[rank])
        logprob = float(np.log(probability[choice] / mass))
    return (choice if ids is None else int(ids[choice])), logprob


def _most_likely(
    probability: NDArray[np.float64], mass: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Ids by falling probability, ties to the lowest, and its running sum: until `mass`.

    The sorted head of the vocabulary, widened until it holds the mass: sorting all of a large
    vocabulary for every token costs more than a small model's forward pass.
    """
    num_ids, size = len(probability), 64
    while True:
        head = np.arange(num_ids)
        if size < num_ids:
            least = np.partition(probability, num_ids - size)[num_ids - size]
            head = np.flatnonzero(probability >= least)
        order = head[np.argsort(-probability[head], kind="stable")]
        cumulative = probability[order].cumsum()
        if cumulative[-1] >= mass or size >= num_ids:
            return order, cumulative
        size *= 16
