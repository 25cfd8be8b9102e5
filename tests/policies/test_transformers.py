"""Lockstep generation is generation: same choices as one episode alone, from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.tiny_models import GOOD, TINY, tiny_model, tiny_tokenizer

from w2stree.errors import ContextExceeded, ModelFailure
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.transformers import TransformersPolicy
from w2stree.training.models import build_model
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.react import parse_action
from w2stree.turns.turn import AgentTurn

pytestmark = pytest.mark.train
FREE = Decoding(max_new_tokens=12)
ACTIONS = ["take knife", "slice carrot", "chop carrot", "eat carrot"]
ANSWERS = ["You take the knife.", "Done. " * 9, "You slice the carrot.", "no"]


@pytest.fixture(scope="module")
def model_and_tokenizer() -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer()
    return tiny_model(tokenizer), tokenizer


def _episode(key: int, temperature: float) -> Episode:
    prompt = (Message("user", "Cook. " * (key + 1)),)
    rng = np.random.default_rng(key)
    return Episode(key, prompt, Sampling(temperature, 0.9), rng, ACTIONS)


def _play(policy: TransformersPolicy, episodes: Sequence[Episode]) -> None:
    """Odd episodes stop a turn early, so that rows leave the cache."""
    for turn in range(4):
        running = [e for e in episodes if turn < 4 - e.key % 2]
        for episode, reply in zip(running, policy.act(running), strict=True):
            answer = ANSWERS[(episode.key + turn) % len(ANSWERS)]
            action = parse_action(reply.response) or ""
            episode.steps.append(
                Step(action, answer, reply.response, reply.token_ids, reply.logprobs)
            )


@pytest.mark.parametrize("actions", ["admissible", "free"])
def test_lockstep_equals_one_episode_at_a_time(
    model_and_tokenizer: tuple[Any, Any], actions: Any
) -> None:
    model, tokenizer = model_and_tokenizer

    def policy() -> TransformersPolicy:
        return TransformersPolicy(model, tokenizer, decoding=Decoding(actions, max_new_tokens=12))

    def play_all(together: bool) -> list[list[Step]]:
        episodes = [_episode(key, 0.0 if key == 0 else 1.0) for key in range(5)]
        if together:
            _play(policy(), episodes)
        else:
            for episode in episodes:
                _play(policy(), [episode])
        return [episode.steps for episode in episodes]

    together, alone = play_all(True), play_all(False)
    for a, b in zip(together, alone, strict=True):
        assert [s.token_ids for s in a] == [s.token_ids for s in b]
        for s, t in zip(a, b, strict=True):
            np.testing.assert_allclose(s.logprobs, t.logprobs, atol=1e-4)


def test_a_policy_plays_a_second_round_with_the_same_keys(
    model_and_tokenizer: tuple[Any, Any],
) -> None:
    policy = TransformersPolicy(
        *model_and_tokenizer, decoding=Decoding("admissible", max_new_tokens=12)
    )

    def play() -> list[Step]:
        episode = _episode(0, 1.0)
        _play(policy, [episode])
        return episode.steps

    assert play() == play()


def test_an_episode_that_begins_with_a_prefix_is_read_from_its_start(
    model_and_tokenizer: tuple[Any, Any],
) -> None:
    """Its key was another episode's a moment ago, and its first call brings steps already."""
    model, tokenizer = model_and_tokenizer
    policy = TransformersPolicy(model, tokenizer, decoding=FREE)
    _play(policy, [_episode(0, 1.0)])
    contexts: list[list[int]] = []

    def branch(policy: TransformersPolicy) -> AgentTurn | ModelFailure:
        episode = Episode(0, GOOD.prompt, Sampling(), np.random.default_rng(1), ACTIONS)
        episode.steps += GOOD.steps[:2]
        contexts.append(policy._chat.history_ids(GOOD.prompt, GOOD.steps[:2]))
        return policy.act([episode])[0]

    turn = branch(policy)
    assert turn == branch(TransformersPolicy(model, tokenizer, decoding=FREE))
    assert isinstance(turn, AgentTurn)
    assert turn.token_ids is not None
    assert turn.logprobs is not None
    with torch.inference_mode():
        logits = model(torch.tensor([contexts[0] + list(turn.token_ids)])).logits[0]
    scores = torch.log_softmax(logits[len(contexts[0]) - 1 : -1].double(), dim=-1)
    expected = scores.gather(1, torch.tensor(turn.token_ids)[:, None]).squeeze(1).numpy()
    sampled = np.array(turn.logprobs) != 0.0
    np.testing.assert_allclose(np.array(turn.logprobs)[sampled], expected[sampled], atol=1e-4)


def test_kept_logprobs_are_the_model_s_own(model_and_tokenizer: tuple[Any, Any]) -> None:
    """Free sampling at temperature 1 and top_p 1: score the kept ids in one plain forward."""
    model, tokenizer = model_and_tokenizer
    episode = Episode(0, GOOD.prompt, Sampling(1.0, 1.0), np.random.default_rng(3), ACTIONS)
    policy = TransformersPolicy(model, tokenizer, decoding=FREE)
    _play(policy, [episode])
    chat = ChatFormat(tokenizer)
    ids = chat.prompt_ids(GOOD.prompt)
    for step in episode.steps:
        assert step.token_ids is not None
        assert step.logprobs is not None
        with torch.inference_mode():
            logits = model(torch.tensor([ids + list(step.token_ids)])).logits[0]
        scores = torch.log_softmax(logits[len(ids) - 1 : -1].double(), dim=-1)
        expected = scores.gather(1, torch.tensor(step.token_ids)[:, None]).squeeze(1).numpy()
        sampled = np.array(step.logprobs) != 0.0  # the forced end mark was not sampled
        np.testing.assert_allclose(np.array(step.logprobs)[sampled], expected[sampled], atol=1e-4)
        ids += list(step.token_ids) + chat.observation_ids(step.observation)


def test_an_episode_ends_where_the_model_s_positions_do() -> None:
    """Side by side with one that goes on, and both as if alone."""
    tokenizer = tiny_tokenizer()
    model = build_model(replace(TINY, max_length=160), tokenizer, seed=0)
    chat = ChatFormat(tokenizer)

    def play(contents: Sequence[str]) -> list[list[AgentTurn | ModelFailure]]:
        policy = TransformersPolicy(model, tokenizer, decoding=FREE)
        played: list[list[AgentTurn | ModelFailure]] = [[] for _ in contents]
        episodes = [
            Episode(i, (Message("user", content),), Sampling(), np.random.default_rng(3), [])
            for i, content in enumerate(contents)
        ]
        running = list(episodes)
        while running:
            for episode, turn in zip(list(running), policy.act(running), strict=True):
                played[episode.key].append(turn)
                if isinstance(turn, AgentTurn):
                    episode.steps.append(Step("x", "no", turn.response, turn.token_ids))
                else:
                    running.remove(episode)
                    policy.forget(episode.key)
        for episode, turns in zip(episodes, played, strict=True):
            history = chat.history_ids(episode.prompt, episode.steps)
            assert isinstance(turns[-1], ContextExceeded)
            assert "the model has 160 positions" in str(turns[-1])
            assert len(history) + FREE.max_new_tokens > 160, "not a turn too early"
        return played

    contents = ["Cook. " * 30, "Cook.", "Cook. " * 400]
    together = play(contents)
    assert len(together[2]) == 1 < len(together[0]) < len(together[1])
    alone = [play([content])[0] for content in contents]
    assert [[_ids(t) for t in turns] for turns in together] == [
        [_ids(t) for t in turns] for turns in alone
    ]


def _ids(turn: AgentTurn | ModelFailure) -> Any:
    return turn.token_ids if isinstance(turn, AgentTurn) else str(turn)


def test_a_model_of_no_numbers_fails_and_is_named(model_and_tokenizer: tuple[Any, Any]) -> None:
    tokenizer = model_and_tokenizer[1]
    model = tiny_model(tokenizer)
    with torch.no_grad():
        model.get_output_embeddings().weight.fill_(torch.nan)
    (failure,) = TransformersPolicy(model, tokenizer, decoding=FREE).act([_episode(0, 1.0)])
    assert isinstance(failure, ModelFailure)
    assert "greatest logit is nan" in str(failure)
