"""The header by which a router keeps the requests of one tree at one replica."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("httpx2")
pytest.importorskip("pydantic")

from support.chat_server import ask, episode, good, policy, serving, status

from w2stree.errors import InvalidInput
from w2stree.experiment.config.exploration import ExplorationConfig
from w2stree.policies.served.tree_key import tree_key
from w2stree.trajectories.trajectory import Message, Step


def test_requests_of_runs_that_open_alike_carry_one_key() -> None:
    first, later, other = episode("go"), episode("go"), episode("stay")
    later.steps.append(Step("west", "a wall", "Action: west"))
    with serving(status(503), good) as server:
        agent = policy(server, tree_header="X-Session-ID")

        async def turns() -> None:
            for running in (first, later, other):
                await agent.turn(running)
            await agent.close()

        asyncio.run(turns())
    keys = [headers["X-Session-ID"] for headers in server.headers]
    assert keys == [tree_key(first.prompt)] * 3 + [tree_key(other.prompt)], "the retry too"
    assert len(set(keys)) == 2


def test_nothing_is_sent_that_nobody_asked_for() -> None:
    with serving(good) as server:
        ask(policy(server))
    assert not any("session" in name.lower() for name in server.headers[0])


def test_a_key_is_of_the_whole_opening() -> None:
    openings: list[tuple[Message, ...]] = [
        (Message("user", "ab"),),
        (Message("user", "a"), Message("user", "b")),
        (Message("system", "ab"),),
        (Message("user", "\udc80"),),
        (),
    ]
    keys = {tree_key(opening) for opening in openings}
    assert len(keys) == len(openings)
    assert all(len(key) == 32 for key in keys)


@pytest.mark.parametrize("name", ["", "X Session", "X-Session:", "Authorization", "content-type"])
def test_a_header_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"tree_header is .*; give the name of the header"):
        policy("http://localhost:8000/v1", tree_header=name)


def config(**policy: Any) -> ExplorationConfig:
    record = {
        "name": "n",
        "environment": {"name": "textworld_express", "game": "twc"},
        "tasks": {"count": 1},
        "policy": {"name": "openai", "model": "m", **policy},
        "samplings": [{}],
    }
    return ExplorationConfig.model_validate(record)


def test_the_configuration_hands_it_on_and_a_resumed_run_may_change_it() -> None:
    read = config(tree_header="X-Session-ID")
    assert "policy.tree_header" in read.may_change()
    with serving(good) as server:
        agent = config(tree_header="X-User-ID", base_url=server.url).policy.policy("tuned")
        asyncio.run(agent.turn(episode()))  # type: ignore[union-attr]
    assert "X-User-ID" in server.headers[0]
    with pytest.raises(ValueError, match=r"tree_header"):
        config(tree_header="no header")
