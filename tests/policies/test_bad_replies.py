"""Replies of a server that are none, or odd: each a turn or an error row, the journal readable."""

from __future__ import annotations

import pytest

pytest.importorskip("httpx2")

from bench.faults.bad_replies import COMPLETIONS, REPLIES, complete, explore, what_is_wrong
from w2stree.trajectories.trajectory import Trajectory


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trajectory]:
    return explore(tmp_path_factory.mktemp("replies") / "episodes.journal")


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_a_turn_or_an_error_row(name: str, played: dict[str, Trajectory]) -> None:
    assert what_is_wrong(name, played.get(name)) is None


def test_every_episode_of_the_run_is_in_the_journal(played: dict[str, Trajectory]) -> None:
    assert set(played) == set(REPLIES)
    assert {t.status for t in played.values()} == {"done", "error"}


@pytest.mark.parametrize("name", COMPLETIONS)
def test_a_completion_is_ids_or_a_failure(name: str) -> None:
    assert complete(name) is None
