"""Connecting to a cluster: what is said where nobody can be reached."""

from __future__ import annotations

from typing import Any

import pytest

from w2stree.errors import EngineFailure

pytest.importorskip("ray")

from w2stree.rollouts.cluster.connection import connected


@pytest.mark.parametrize(
    ("address", "mode", "is_told"),
    [
        ("ray://head:10001", None, True),
        ("ray://head:10001", "token", False),
        ("head:6379", None, False),
    ],
)
def test_a_client_that_is_not_answered_is_told_of_tokens(
    address: str, mode: str | None, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray 2.60 waits for half a minute and says no more than this (tried by hand, with a head that
    asks for a token)."""

    def refuse(**options: Any) -> None:
        raise ConnectionError("ray client connection timeout")

    monkeypatch.setattr("ray.init", refuse)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(EngineFailure, match="connection timeout") as refused, connected(address):
        pass
    assert ("RAY_AUTH_MODE=token" in str(refused.value)) is is_told
