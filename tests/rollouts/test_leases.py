"""Leases: whatever is lost, late or told twice, each plan is settled once, none is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from w2stree.policies.protocol import Sampling
from w2stree.rollouts.cluster.leases import Leases, key_of_plan
from w2stree.rollouts.cluster.seats import seats_of
from w2stree.rollouts.episode import EpisodePlan


def plans(number: int) -> list[EpisodePlan]:
    return [EpisodePlan(f"t/{i // 3}", i % 3, Sampling(), 0) for i in range(number)]


@given(st.integers(0, 60), st.integers(1, 4), st.integers(1, 5), st.randoms())
def test_each_plan_is_settled_once_whatever_is_lost(
    number: int, side_by_side: int, num_workers: int, chance: object
) -> None:
    """Workers get leases, tell of some, are lost, come back and tell again of all they ever had."""
    wanted = plans(number)
    leases = Leases(wanted)
    had: dict[str, list[EpisodePlan]] = {str(i): [] for i in range(num_workers)}
    idle = set(had)
    settled: list[object] = []
    num_rounds = 0
    while leases.num_open:
        num_rounds += 1
        assert num_rounds < 10_000
        for worker in sorted(idle):
            lease = leases.hand_out(worker, side_by_side=side_by_side, num_workers=num_workers)
            had[worker] += lease
            if lease:
                idle.discard(worker)
        worker = chance.choice(sorted(had))  # type: ignore[attr-defined]
        for plan in had[worker]:
            if chance.random() < 0.3 and leases.settle(key_of_plan(plan)):  # type: ignore[attr-defined]
                settled.append(plan)
        if chance.random() < 0.3:  # type: ignore[attr-defined]
            leases.give_back(worker)
            idle.add(worker)
    assert sorted(map(repr, settled)) == sorted(map(repr, wanted))
    assert not leases.settle(("t/0", 0, 0))


def test_leases_grow_small_towards_the_end_and_are_whole_waves() -> None:
    leases = Leases(plans(4000))
    sizes = []
    while lease := leases.hand_out("a", side_by_side=4, num_workers=5):
        sizes.append(len(lease))
        assert all(leases.settle(key_of_plan(plan)) for plan in lease)
    assert sizes[0] == 256, "at most sixty-four waves"
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 4
    assert all(size % 4 == 0 for size in sizes)
    assert sum(sizes) == 4000


def test_what_a_lost_worker_had_is_played_first() -> None:
    leases = Leases(plans(20))
    lost = leases.hand_out("lost", side_by_side=3, num_workers=4)
    assert leases.settle(key_of_plan(lost[0]))
    assert leases.give_back("lost") == 2
    assert leases.give_back("lost") == 0
    assert leases.hand_out("other", side_by_side=2, num_workers=4) == lost[1:]


def test_a_machine_has_a_seat_or_one_for_each_of_its_gpus() -> None:
    def node(name: str, **has: float) -> dict[str, object]:
        return {"NodeID": name, "Alive": name != "dead", "Resources": has}

    nodes = [
        node("plain", CPU=8.0),
        node("gpus", CPU=8.0, GPU=3.0),
        node("head", memory=1e9),
        node("dead", CPU=8.0),
        node("narrow", CPU=2.0, GPU=4.0),
    ]

    def seats(*, on_gpus: bool) -> list[tuple[str, int, int, int]]:
        found = seats_of(nodes, num_processes=4, on_gpus=on_gpus)
        return [(s.node, s.number, s.num_cpus, s.num_gpus) for s in found]

    assert seats(on_gpus=False) == [("plain", 0, 4, 0), ("gpus", 0, 4, 0), ("narrow", 0, 2, 0)]
    assert seats(on_gpus=True) == [
        ("plain", 0, 4, 0),
        *[("gpus", number, 2, 1) for number in range(3)],
        *[("narrow", number, 1, 1) for number in range(2)],
    ]
