"""Tasks that open alike are one task: they are passed over, counted, and refused where too few."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.twins import NUM_HOUSES, NUM_TASKS, Twins, house

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import EnvironmentFailure, InvalidInput, TasksPassedOver
from w2stree.rollouts.task_choice import TaskChoice, hash_opening, look_up_openings, seeded_order


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Twins, 2) as pool:
        yield pool


def test_no_two_tasks_open_alike_within_a_part_or_across(pool: EnvironmentPool) -> None:
    choice = TaskChoice(pool, seed=0)
    first = choice.take("first", "train", 6)
    second = choice.take("second", "train", 4)
    houses = [house(task) for task in [*first.task_ids, *second.task_ids]]
    assert sorted(houses) == list(range(NUM_HOUSES))
    assert list(first.openings.values()) == [
        hash_opening(f"Leave house {house(task)}.") for task in first.task_ids
    ]
    # Every number up to the last one taken was looked at; the others are repeats.
    order = seeded_order([f"train/{i}" for i in range(NUM_TASKS)], seed=0)
    num_seen = order.index(second.task_ids[-1]) + 1
    assert first.num_repeated + second.num_repeated == num_seen - NUM_HOUSES > 0


def test_a_fold_with_too_few_is_refused_with_the_counts(pool: EnvironmentPool) -> None:
    choice = TaskChoice(pool, seed=0)
    choice.take("tasks.test.test", "test", 8)
    num_left = NUM_HOUSES - len(
        {house(task) for task in choice._used if task.startswith("test/")} & set(range(10))
    )
    with pytest.raises(InvalidInput) as refused:
        choice.take("tasks.explore", "train", NUM_HOUSES)
    assert str(refused.value) == (
        "tasks.explore: 10 distinct tasks of train are asked for; its 24 tasks open in 10 ways, "
        f"of which {num_left} are left for tasks.explore, the others are taken by tasks.test.test. "
        "Tasks that open alike count as one: ask for fewer, or choose another split or other "
        "settings of the environment; where only what is hidden tells tasks apart, set "
        "tasks.distinct: false"
    )
    with pytest.raises(InvalidInput, match=r"^x: 25 tasks of train are asked for; it has 24$"):
        choice.take("x", "train", 25)


def test_openings_that_are_taken_elsewhere_are_repeats(pool: EnvironmentPool) -> None:
    taken = {hash_opening(f"Leave house {number}."): "elsewhere" for number in range(8)}
    chosen = TaskChoice(pool, seed=3, taken=taken).take("here", "train", 2)
    assert {house(task) for task in chosen.task_ids} == {8, 9}
    with pytest.raises(InvalidInput, match=r"of which 2 are left for here, .*taken by elsewhere"):
        TaskChoice(pool, seed=3, taken=taken).take("here", "train", 3)


def test_a_choice_among_some_gives_what_there_is(pool: EnvironmentPool) -> None:
    choice = TaskChoice(pool, seed=0)
    found = choice.take_up_to("x", "train", 5, among={"train/3", "train/13", "train/4"})
    assert {house(task) for task in found.task_ids} == {3, 4}
    assert found.num_repeated == 1


def test_without_distinctness_a_task_is_its_id_and_repeats_are_counted(
    pool: EnvironmentPool,
) -> None:
    choice = TaskChoice(pool, seed=0, distinct=False)
    chosen = choice.take("x", "train", 20)
    assert len(chosen.openings) == 20
    assert chosen.num_repeated == 20 - len(set(chosen.openings.values()))
    with pytest.raises(InvalidInput, match=r"^y: 5 tasks of train are asked for; 4 are left for y"):
        choice.take("y", "train", 5)


def test_no_more_is_looked_at_than_is_needed(tmp_path: Path) -> None:
    log = tmp_path / "resets"
    with EnvironmentPool(functools.partial(Twins, log), 1) as pool:
        chosen = TaskChoice(pool, seed=0).take("x", "train", 5)
        looked_at = log.read_text().split()
    assert len(looked_at) == 5 + chosen.num_repeated
    assert max(Counter(looked_at).values()) == 1


def test_more_processes_choose_the_same(pool: EnvironmentPool) -> None:
    chosen = TaskChoice(pool, seed=1).take("x", "train", 9)
    with EnvironmentPool(Twins, 1) as alone:
        assert TaskChoice(alone, seed=1).take("x", "train", 9) == chosen
    many = [f"train/{i % NUM_TASKS}" for i in range(100)]
    assert list(look_up_openings(pool, many)) == [
        hash_opening(f"Leave house {house(task)}.") for task in many
    ]


def test_a_task_that_cannot_be_reset_costs_itself() -> None:
    order = seeded_order([f"train/{i}" for i in range(NUM_TASKS)], seed=0)
    broken = order[1]
    with (
        EnvironmentPool(functools.partial(Twins, None, (broken,)), 1) as pool,
        pytest.warns(TasksPassedOver, match=f"^x: passed over 1 of the tasks .*{broken}"),
    ):
        chosen = TaskChoice(pool, seed=0, distinct=False).take("x", "train", 5)
    assert chosen.task_ids == [order[0], *order[2:6]]


def test_too_few_that_can_be_reset_are_counted() -> None:
    broken = tuple(f"train/{i}" for i in range(0, NUM_TASKS, 4))
    with (
        EnvironmentPool(functools.partial(Twins, None, broken), 1) as pool,
        pytest.warns(TasksPassedOver, match="passed over 6"),
        pytest.raises(InvalidInput, match=r"24 tasks open in \d+ ways \(6 cannot be reset\)"),
    ):
        TaskChoice(pool, seed=0).take("x", "train", 11)


def test_where_no_task_can_be_reset_the_choice_ends_with_the_cause() -> None:
    broken = tuple(f"train/{i}" for i in range(NUM_TASKS))
    with (
        EnvironmentPool(functools.partial(Twins, None, broken), 1) as pool,
        pytest.raises(EnvironmentFailure, match=r"^10 tasks in a row cannot be reset, .*train/"),
    ):
        TaskChoice(pool, seed=0).take("x", "train", 3)


def test_the_order_is_the_seed_s_and_the_ids_alone() -> None:
    fold = [f"task {i}" for i in range(200)]
    order = seeded_order(fold, seed=0)
    assert sorted(order) == sorted(fold)
    assert order != fold
    assert seeded_order(fold[::-1], seed=0) == order
    assert seeded_order(fold, seed=1) != order
    assert [task for task in order if task in set(fold[:50])] == seeded_order(fold[:50], seed=0)
    assert seeded_order(["a", "a"], seed=0) == ["a"]


def test_types_take_turns() -> None:
    sizes = {"heat": 100, "cool": 40, "look": 3}
    fold = [f"{kind}-{i}" for kind, size in sizes.items() for i in range(size)]
    order = seeded_order(fold, 0, lambda task_id: task_id.partition("-")[0])
    assert Counter(task.partition("-")[0] for task in order[:9]) == dict.fromkeys(sizes, 3)
    assert Counter(task.partition("-")[0] for task in order[9:83]) == {"heat": 37, "cool": 37}
    assert {task.partition("-")[0] for task in order[83:]} == {"heat"}


def test_progress_counts_the_tasks_of_all_parts(pool: EnvironmentPool) -> None:
    told: list[int] = []
    choice = TaskChoice(pool, seed=0, progress=told.append)
    choice.take("first", "train", 4)
    choice.take("second", "train", 2)
    assert told == sorted(told)
    assert told[-1] == 6
