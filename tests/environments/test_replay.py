"""Snapshots by replay, on an environment small enough to read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from w2stree.environments.hosting.replay import Replayable, with_snapshots
from w2stree.environments.protocol import ExpertTurn, Info, Snapshot
from w2stree.errors import EnvironmentFailure, InvalidInput
from w2stree.turns.react import UNPARSED


class Hallway:
    """Rooms in a row; `drift` makes every instance tell the rooms differently after a while."""

    def __init__(self, length: int = 9, drift: Any = None) -> None:
        self._length, self._drift = length, drift
        self.num_resets = 0

    def tasks(self, split: str) -> list[str]:
        return [f"{split}/0"]

    def reset(self, task_id: str) -> tuple[str, Info]:
        self.num_resets += 1
        self._room = 0
        return f"{task_id}: room 0", self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        self._room += {"right": 1, "left": -1}.get(action, 0)
        noise = f" {next(self._drift)}" if self._drift and self._room == 2 else ""
        is_end = self._room == self._length
        return f"room {self._room}{noise}", float(is_end), is_end, False, self._info()

    def expert(self) -> list[ExpertTurn]:
        self._room = 0
        return [ExpertTurn("", "right")] * self._length

    def close(self) -> None:
        pass

    def _info(self) -> Info:
        return Info(score=self._room / self._length, admissible_actions=["left", "right"])


def test_a_snapshot_leads_back_to_the_state_in_another_instance() -> None:
    first, second = Replayable(Hallway()), Replayable(Hallway())
    first.reset("train/0")
    for action in ("right", "right", "left"):
        first.step(action)
    snapshot = first.snapshot()
    assert snapshot == Snapshot(
        "train/0", ("right", "right", "left"), ("room 1", "room 2", "room 1")
    )
    assert second.restore(snapshot) == ("room 1", first._environment._info())  # type: ignore[attr-defined]
    assert second.step("right")[0] == first.step("right")[0] == "room 2"
    assert second.snapshot() == first.snapshot()


def test_without_actions_it_is_the_start_state() -> None:
    environment = Replayable(Hallway())
    environment.reset("train/0")
    environment.step("right")
    observation, info = environment.restore(Snapshot("train/0"))
    assert (observation, info["score"]) == ("train/0: room 0", 0.0)
    environment.step("right")
    assert len(environment.expert()) == 9
    assert environment.snapshot() == Snapshot("train/0")


def test_a_replay_that_answers_differently_is_refused() -> None:
    drift = itertools.count()
    environment = Replayable(Hallway(drift=drift))
    environment.reset("train/0")
    for _ in range(3):
        environment.step("right")
    with pytest.raises(
        EnvironmentFailure,
        match=r"step 2 \('right'\) answers 'room 2 1'; the snapshot has 'room 2 0'",
    ):
        environment.restore(environment.snapshot())


def test_a_turn_without_an_action_is_replayed_but_not_compared() -> None:
    environment = Replayable(Hallway())
    snapshot = Snapshot("train/0", ("right", ""), ("room 1", UNPARSED))
    assert environment.restore(snapshot)[0] == UNPARSED
    assert environment.snapshot() == snapshot


def test_an_environment_with_its_own_snapshots_is_used_as_it_is() -> None:
    class Own(Hallway):
        def snapshot(self) -> Snapshot:
            return Snapshot("own")

        def restore(self, snapshot: Snapshot) -> tuple[str, Info]:
            return "restored", self._info()

    own, plain = Own(), Hallway()
    assert with_snapshots(own) is own
    assert isinstance(with_snapshots(plain), Replayable)


def test_there_is_no_snapshot_before_a_reset() -> None:
    with pytest.raises(EnvironmentFailure, match="call reset"):
        Replayable(Hallway()).snapshot()
    with pytest.raises(InvalidInput, match="2 actions but 1 observations"):
        Snapshot("train/0", ("right", "left"), ("room 1",))
