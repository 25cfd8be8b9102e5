"""What probability an admissible action has, action by action at equal logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from support.tiny_models import tiny_model
from support.tokenizers import byte_level, sentencepiece

from w2stree.errors import ModelFailure
from w2stree.policies.protocol import Episode, Sampling
from w2stree.policies.transformers import TransformersPolicy
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.decoding import Decoding
from w2stree.turns.grammar import TurnGrammar
from w2stree.turns.turn import AgentTurn

pytestmark = pytest.mark.train
PROMPT = (Message("user", "go"),)
ACTIONS = ["go", "go on", "go out", "no", "nor"]
CHOICE = Decoding("admissible", thought=False)
TEMPERATURE = 1.3

Probabilities = Callable[[tuple[int, ...]], Any]


@pytest.fixture(scope="module", params=[byte_level, sentencepiece])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return tiny_model(tokenizer)


@pytest.fixture(scope="module")
def probabilities(model: Any, tokenizer: Any) -> Probabilities:
    """The model's unnormalised probabilities after the prompt and some ids of its turn."""
    history = ChatFormat(tokenizer).prompt_ids(PROMPT)

    @cache
    def after(said: tuple[int, ...]) -> Any:
        with torch.inference_mode():
            logits = model(torch.tensor([[*history, *said]])).logits[0, -1].double()
        return ((logits - logits.max()) / TEMPERATURE).exp().numpy()

    return after


def by_enumeration(tokenizer: Any, probabilities: Probabilities) -> dict[str, float]:
    """Of each action the product over its ids, each among the ids that go on with some action.

    The actions' ids are the tokenizer's for a whole turn, `Action:` and all; where one is complete,
    a mark of the template or of the model's own may come.
    """
    chat = ChatFormat(tokenizer)
    marks = {tokenizer.eos_token_id, *chat.end_ids}
    whole = {a: chat.turn_ids(f"Action: {a}")[: -len(chat.end_ids)] for a in ACTIONS}
    found = {}
    for action, ids in whole.items():
        found[action] = 1.0
        for place in range(len(ids) + 1):
            said = tuple(ids[:place])
            left = [other for other in whole.values() if tuple(other[:place]) == said]
            going_on = {other[place] for other in left if len(other) > place}
            ends_here = any(len(other) == place for other in left)
            allowed = sorted(going_on | (marks if ends_here else set()))
            wanted = sorted(marks) if place == len(ids) else [ids[place]]
            weights = probabilities(said)
            found[action] *= weights[wanted].sum() / weights[allowed].sum()
    return found


def by_grammar(tokenizer: Any, probabilities: Probabilities) -> dict[str, float]:
    """The same, walking all that the grammar allows."""
    chat = ChatFormat(tokenizer)
    grammar = TurnGrammar(chat, CHOICE)
    found = dict.fromkeys(ACTIONS, 0.0)

    def go(pushed: tuple[int, ...], mass: float) -> None:
        turn = grammar.start(ACTIONS)
        for token in pushed:
            turn.push(token, -1.0)
        if turn.is_done:
            found[turn.said().response.removeprefix("Action: ")] += mass
            return
        assert turn.allowed is not None
        weights = probabilities(tuple(turn.ids))[turn.allowed]
        for token, share in zip(turn.allowed.tolist(), weights / weights.sum(), strict=True):
            go((*pushed, token), mass * share)

    go((), 1.0)
    return found


def test_an_action_s_probability_is_the_product_over_its_tokens(
    tokenizer: Any, probabilities: Probabilities
) -> None:
    expected = by_enumeration(tokenizer, probabilities)
    assert sum(expected.values()) == pytest.approx(1.0)
    assert min(expected.values()) > 0.01, "each of them is possible"
    assert by_grammar(tokenizer, probabilities) == pytest.approx(expected, abs=1e-9)


def test_kept_logprobs_are_of_the_distribution_sampled_from(
    model: Any, tokenizer: Any, probabilities: Probabilities
) -> None:
    policy = TransformersPolicy(model, tokenizer, decoding=CHOICE)
    grammar = TurnGrammar(ChatFormat(tokenizer), CHOICE)
    for turn in turns(policy, 20):
        assert turn.token_ids is not None
        assert turn.logprobs is not None
        again = grammar.start(ACTIONS)
        while not again.is_done:
            place = len(again.ids)
            assert again.allowed is not None
            weights = probabilities(turn.token_ids[:place])
            token = turn.token_ids[place]
            if token in again.allowed:
                share = np.log(weights[token] / weights[again.allowed].sum())
                is_end = place == len(turn.token_ids) - 1  # sampled as one of two marks
                assert turn.logprobs[place] == pytest.approx(share, abs=1e-4) or is_end
            again.push(token, turn.logprobs[place])
        assert tuple(again.ids) == turn.token_ids
        assert again.logprobs == list(turn.logprobs)


def turns(policy: TransformersPolicy, count: int) -> Iterator[AgentTurn]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        (turn,) = policy.act([Episode(0, PROMPT, Sampling(TEMPERATURE), rng, ACTIONS)])
        assert isinstance(turn, AgentTurn)
        yield turn


def test_an_episode_without_actions_fails_alone_at_its_start_and_in_its_middle() -> None:
    tokenizer = byte_level()
    model = tiny_model(tokenizer)

    def episode(key: int, actions: list[str]) -> Episode:
        return Episode(key, PROMPT, Sampling(), np.random.default_rng(key), actions)

    def steps(actions: list[str]) -> list[Step]:
        policy = TransformersPolicy(model, tokenizer, decoding=CHOICE)
        beside, failing = episode(0, ACTIONS), episode(1, actions)
        for number in range(3):
            running = [beside, failing] if number < 2 else [beside]
            turns = policy.act(running)
            assert isinstance(turns[0], AgentTurn)
            beside.steps.append(Step("", "ok", turns[0].response, turns[0].token_ids))
            if number == 1:
                assert isinstance(turns[1], ModelFailure)
                assert "free decoding" in str(turns[1])
            elif actions and number == 0:
                assert isinstance(turns[1], AgentTurn)
                failing.steps.append(Step("", "ok", turns[1].response, turns[1].token_ids))
                failing.admissible_actions = []
        return beside.steps

    assert steps([]) == steps(ACTIONS)


@pytest.mark.parametrize("decoding", [CHOICE, Decoding(max_new_tokens=4)])
def test_a_turn_of_which_nothing_is_sampled_is_followed_by_others(decoding: Decoding) -> None:
    """A shop whose first page offers its search alone."""
    tokenizer = byte_level()
    policy = TransformersPolicy(tiny_model(tokenizer), tokenizer, decoding=decoding)
    episode = Episode(0, PROMPT, Sampling(), np.random.default_rng(0), ["search[shoes]"])
    for actions in (["search[shoes]"], ["click[red]", "click[blue]"], ["buy"]):
        episode.admissible_actions = actions
        (turn,) = policy.act([episode])
        assert isinstance(turn, AgentTurn)
        if decoding is CHOICE:
            assert turn.response in [f"Action: {action}" for action in actions]
        episode.steps.append(Step("", "a page", turn.response, turn.token_ids, turn.logprobs))


def test_a_model_s_own_configuration_ends_its_turn() -> None:
    """As chat models whose generation_config lists marks that neither template nor tokenizer do."""
    tokenizer = byte_level()
    model = tiny_model(tokenizer)
    model.generation_config.eos_token_id = list(range(3, len(tokenizer)))
    policy = TransformersPolicy(model, tokenizer, decoding=Decoding())
    (turn,) = policy.act([Episode(0, PROMPT, Sampling(), np.random.default_rng(0), [])])
    assert isinstance(turn, AgentTurn)
    assert turn.token_ids == tuple(ChatFormat(tokenizer).end_ids)
