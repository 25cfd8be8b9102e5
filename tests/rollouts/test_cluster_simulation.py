"""The simulated exploration: each plan counts once, no bound is beaten, equal seeds are equal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rollouts.cluster.recorded import Episode, drawn, recorded
from bench.rollouts.cluster.simulation import NEWS_S, Costs, simulate
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.times import EpisodeTimes, KeptTimes, times_file
from w2stree.trajectories.trajectory import Message, Step, Trajectory

FREE = Costs(message=0.0, answer=0.0, look=0.0, byte=0.0, sync=0.0)


@given(
    st.lists(st.floats(0.01, 100.0), min_size=1, max_size=80),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([FREE, Costs(), Costs(message=0.5, answer=0.2, sync=3.0), Costs(byte=1e-3)]),
)
def test_each_plan_counts_once_and_no_bound_is_beaten(
    seconds: list[float], num_workers: int, side_by_side: int, costs: Costs
) -> None:
    episodes = [Episode(s, 1_000) for s in seconds]
    told = simulate(episodes, num_workers=num_workers, side_by_side=side_by_side, costs=costs)
    assert sorted(told.settled) == list(range(len(episodes)))
    assert told.seconds >= told.ideal * (1 - 1e-9)
    assert told.seconds >= told.driver * (1 - 1e-9)
    assert told.driver >= costs.byte * told.num_bytes * (1 - 1e-9)
    of_slots = told.work + told.waited + told.between + told.tail
    assert of_slots == pytest.approx(told.num_slots * told.seconds)
    assert min(told.waited, told.between, told.tail) >= -1e-9
    again = simulate(episodes, num_workers=num_workers, side_by_side=side_by_side, costs=costs)
    assert again == told


def test_one_slot_without_costs_loses_nothing() -> None:
    told = simulate([Episode(2.0, 10)] * 50, num_workers=1, side_by_side=1, costs=FREE)
    assert told.seconds == told.ideal == told.work == 100.0
    assert told.num_leases > 1


def test_slots_of_a_lease_wait_for_its_longest_episode() -> None:
    """Two slots, four episodes: a lease is a wave of both, and each has one that is long."""
    episodes = [Episode(s, 10) for s in (1.0, 5.0, 1.0, 5.0)]
    told = simulate(episodes, num_workers=1, side_by_side=2, costs=FREE)
    assert (told.seconds, told.num_leases) == (10.0, 2)
    assert (told.waited, told.tail) == (4.0, 4.0)


def test_a_driver_that_is_too_slow_is_the_wall() -> None:
    episodes = [Episode(1.0, 1_000)] * 640
    told = simulate(episodes, num_workers=10, side_by_side=8, costs=replace(FREE, byte=1e-4))
    assert told.driver == pytest.approx(64.0)
    assert told.seconds > 64.0 > told.ideal


def test_episodes_are_drawn_by_seed() -> None:
    episodes = [Episode(float(i), i) for i in range(100)]
    assert drawn(episodes, 1_000, 7) == drawn(episodes, 1_000, 7) != drawn(episodes, 1_000, 8)
    assert {episode.num_bytes for episode in drawn(episodes, 5_000, 0)} == set(range(100))


def test_workers_are_as_patient_as_the_crew() -> None:
    pytest.importorskip("ray")
    from w2stree.rollouts.cluster import crew

    assert crew._NEWS_S == NEWS_S


def walk(sample: int, num_steps: int) -> Trajectory:
    steps = (Step("go", "You go."),) * num_steps
    origin = Origin(sample_index=sample)
    return Trajectory("t", (Message("user", "Go."),), steps, 1.0, "done", origin)


def test_reads_what_an_exploration_leaves(tmp_path: Path) -> None:
    path = tmp_path / "episodes.journal"
    runs = [walk(sample, sample + 1) for sample in range(3)]
    times = KeptTimes(times_file(path))
    with Journal(path) as journal:
        for number, run in enumerate(runs):
            journal.append(run)
            if number != 1:  # of an earlier version
                marks = [10.0, 10.5, *(11.0 + turn for turn in range(2 * (number + 1))), 20.0]
                times.add(EpisodeTimes("t", number, 0, 0, marks))
        journal.commit()
    times.keep([runs[0], runs[2]])
    assert [episode.seconds for episode in recorded(path)] == [10.0, 10.0]
    found = recorded(path, turn_s=0.25)
    assert [episode.seconds for episode in found] == [0.5 + 1.25, 0.5 + 3 * 1.25]
    assert all(0 < episode.num_bytes < path.stat().st_size for episode in found)
