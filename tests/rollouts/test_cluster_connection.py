"""Connecting to a cluster: what is said where nobody can be reached."""

from __future__ import annotations

from typing import Any

import pytest

from w2stree.errors import EngineFailure

pytest.importorskip("ray")

from w2stree.rollouts.cluster.connection import connected


@pytest.mark.parametrize(
    ("error", "mode", "is_told"),
    [
        ("ray client connection timeout", None, True),
        ("ray client connection timeout", "token", False),
        ("Could not find any running Ray instance", None, False),
    ],
)
def test_a_client_that_is_not_answered_is_told_of_tokens(
    error: str, mode: str | None, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray 2.60 waits for half a minute and says no more than this (tried by hand, with a head that
    asks for a token)."""

    def refuse(**options: Any) -> None:
        raise ConnectionError(error)

    monkeypatch.setattr("ray.init", refuse)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(EngineFailure, match=error) as refused, connected("ray://head:10001"):
        pass
    assert ("RAY_AUTH_MODE=token" in str(refused.value)) is is_told


@pytest.mark.parametrize(
    ("error", "starts"),
    [
        (ConnectionAbortedError("Initialization failure from server:\npsutil.ZombieProcess"), 3),
        (ConnectionError("ray client connection timeout"), 1),
        (RuntimeError("Version mismatch: The cluster was started with"), 1),
    ],
    ids=["its process was lost", "nobody answered", "another version"],
)
def test_a_client_whose_process_was_lost_asks_for_another(
    error: Exception, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In earnest, with a process that ends: in `tests/experiment/test_grid_on_ray.py`."""
    begun = []

    def refuse(**options: Any) -> None:
        begun.append(options)
        raise error

    monkeypatch.setattr("ray.init", refuse)
    with pytest.raises(EngineFailure, match=str(error)[:14]), connected("ray://head:10001"):
        pass
    assert len(begun) == starts
