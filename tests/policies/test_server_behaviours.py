"""Servers that misbehave over real sockets: each has its outcome, its end and its limit."""

from __future__ import annotations

import pytest

pytest.importorskip("httpx2")

from bench.faults.servers import CASES, MOST_SENT, Outcome, meet


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in meet()}


@pytest.mark.parametrize("name", CASES)
def test_a_behaviour_has_its_outcome(name: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[name]
    assert outcome.is_expected, f"{outcome.told}\nis not\n{outcome.expected}"
    assert not outcome.tells_key, outcome.told
    assert outcome.num_sent < MOST_SENT


def test_a_server_that_is_not_reached_is_told_apart(outcomes: dict[str, Outcome]) -> None:
    places = [outcome for name, outcome in outcomes.items() if name not in CASES]
    assert len(places) >= 5
    assert [outcome.told for outcome in places if not outcome.is_expected] == []
