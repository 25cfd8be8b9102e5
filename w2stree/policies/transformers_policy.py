"""A policy that plays many episodes in lockstep with a local transformers model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from w2stree.chat import ChatFormat
from w2stree.policies.grammar import Decoding, Turn, TurnGrammar
from w2stree.policies.kv_cache import LockstepCache
from w2stree.policy import AgentTurn, Episode


class TransformersPolicy:
    """Batched generation, one turn of every episode a call, histories cached between calls.

    `decoding="admissible"` restricts the action to the environment's admissible ones (the
    thought stays free), `"free"` restricts nothing. Sampled ids and their log-probabilities,
    under the sampled distribution, are kept in the turns.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        decoding: Decoding = "free",
        has_thought: bool = True,
        max_new_tokens: int = 256,
    ) -> None:
        self._model = model.eval()
        self._chat = ChatFormat(tokenizer)
        self._grammar = TurnGrammar(
            self._chat, decoding=decoding, has_thought=has_thought, max_new_tokens=max_new_tokens
        )
        self._cache: LockstepCache | None = None
        self._unseen: dict[int, list[int]] = {}  # ids of an episode the cache does not hold yet
        self._num_seen_steps: dict[int, int] = {}
        self.num_generated_tokens = 0

    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn]:
        """The next turn of each episode. Cost: one forward pass per sampled token position.

        All episodes of a call share one cache: an episode the last call did not have makes
        the cache be built anew, so start episodes together.
        """
        keys = [episode.key for episode in episodes]
        if self._cache is None or not set(keys) <= set(self._cache.keys):
            self._cache = LockstepCache(self._model, keys)
            self._unseen = {e.key: self._chat.history_ids(e.prompt, e.steps) for e in episodes}
        else:
            self._cache.select(keys)
            for episode in episodes:
                answer = self._chat.observation_ids(episode.steps[-1].observation)
                self._unseen[episode.key] += answer
        turns = [self._grammar.start(episode.admissible_actions) for episode in episodes]
        self._generate(self._cache, episodes, turns)
        self.num_generated_tokens += sum(len(turn.ids) for turn in turns)
        return [self._agent_turn(turn) for turn in turns]

    def forget(self, key: int) -> None:
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
            logits = cache.extend(sent)
            for i in open_rows:
                turn, before = turns[i], len(turns[i].ids)
                token, logprob = sample(logits[i], turn.allowed, episodes[i])
                turn.push(token, logprob)
                chunks[i] = turn.ids[before:]
        for episode, chunk in zip(episodes, chunks, strict=True):
            self._unseen[episode.key] = chunk

    def _agent_turn(self, turn: Turn) -> AgentTurn:
        text = turn.ids[: len(turn.ids) - len(self._chat.end_ids)]
        return AgentTurn(
            response=self._chat.tokenizer.decode(text),
            token_ids=tuple(turn.ids),
            logprobs=tuple(turn.logprobs),
        )


def sample(
    logits: torch.Tensor, allowed: Sequence[int] | None, episode: Episode
) -> tuple[int, float]:
    """One token and its log-probability from logits (vocabulary,), restricted to `allowed`.

    Temperature first, then the nucleus: the fewest tokens whose mass reaches `top_p`, ties
    to the lowest id. Exactly one number is drawn from the episode's generator, so that a
    run's samples do not depend on the batch around it.
    """
    ids = None if allowed is None else torch.tensor(allowed, device=logits.device)
    logits = logits if ids is None else logits[ids]
    sampling = episode.sampling
    if sampling.temperature == 0.0:
        choice, logprob = int(logits.argmax()), 0.0
    else:
        probability = torch.softmax(logits.double() / sampling.temperature, dim=0)
        ordered, order = probability.sort(descending=True, stable=True)
        cumulative = ordered.cumsum(dim=0)
        size = int((cumulative < sampling.top_p).sum()) + 1
        mass = float(cumulative[min(size, len(ordered)) - 1])
        rank = int((cumulative[: size - 1] <= episode.rng.random() * mass).sum())
        choice, logprob = int(order[rank]), float((ordered[rank] / mass).log())
    return (choice if ids is None else int(ids[choice])), logprob
