"""`Forest.digest`: equal for equal content by any route, different for different content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import digest_oracle
from support.strategies import episode, trajectory_lists

from w2stree import Forest, InvalidInput, Trajectory, _core, build_forest, open_forest
from w2stree.forest.parts import ForestParts
from w2stree.forest.texts import TextColumn
from w2stree.trajectories.origin import Origin

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]

# Every platform must reproduce these: a change breaks every digest anyone has written down.
GOLDEN = {
    "one step": "128b1622c22f5c1c98341dabc2ee972b",
    "no steps": "c164e26c27d671f634ce27157edf88a7",
    "the picture of forest.hpp": "6e15191368c6b24b765a937b752b6cb5",
    "texts": "c22c8c78357634e04dce80afb255e363",
}
FORESTS = {
    "one step": [episode("a", 1.0)],
    "no steps": [episode("", 0.5)],
    "the picture of forest.hpp": [
        episode("abe", 1.0),
        episode("aC", 0.25),
        episode("d", 0.5),
        episode("a", -0.0),
        episode("a", 1 / 3, "another task"),
    ],
    "texts": [
        replace(
            episode("a", 0.1, task),
            steps=tuple(
                replace(episode("a", 1).steps[0], action=a, observation=task) for a in "ab"
            ),
        )
        for task in ("", "é", "e\u0301", "打开 门", "\udce9", "x" * 31, "x" * 32, "x" * 1000)
    ],
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert build_forest(FORESTS[name]).digest() == GOLDEN[name]
    assert digest_oracle.digest(FORESTS[name]) == GOLDEN[name]


@given(trajectory_lists())
def test_is_as_documented(trajectories: list[Trajectory]) -> None:
    assert build_forest(trajectories).digest() == digest_oracle.digest(trajectories)


@given(trajectory_lists(), st.randoms(use_true_random=False))
def test_input_order_does_not_matter(trajectories: list[Trajectory], random) -> None:
    shuffled = random.sample(trajectories, len(trajectories))
    assert build_forest(shuffled).digest() == build_forest(trajectories).digest()


@given(trajectory_lists(), st.data())
def test_any_change_changes_it(trajectories: list[Trajectory], data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(trajectories) - 1))
    chosen = trajectories[i]
    changes = [
        replace(chosen, total_return=chosen.total_return + 0.125),
        replace(chosen, total_return=float(np.nextafter(chosen.total_return, 9.0))),
        replace(chosen, task_id="another"),
        replace(chosen, steps=(*chosen.steps, episode("a", 1).steps[0])),
    ]
    if chosen.steps:
        j = data.draw(st.integers(0, len(chosen.steps) - 1))
        for step in (
            replace(chosen.steps[j], action="another"),
            replace(chosen.steps[j], observation="another"),
            replace(
                chosen.steps[j],
                action=chosen.steps[j].observation,
                observation=chosen.steps[j].action,
            ),
        ):
            if step != chosen.steps[j]:
                changes.append(
                    replace(chosen, steps=(*chosen.steps[:j], step, *chosen.steps[j + 1 :]))
                )
        changes.append(replace(chosen, steps=chosen.steps[:-1]))
    before = build_forest(trajectories).digest()
    for other in changes:
        assert build_forest([*trajectories[:i], other, *trajectories[i + 1 :]]).digest() != before
    assert build_forest([*trajectories, chosen]).digest() != before
    if len(trajectories) > 1:
        assert build_forest([*trajectories[:i], *trajectories[i + 1 :]]).digest() != before


@given(trajectory_lists(), st.data())
def test_which_return_goes_with_which_path_matters(
    trajectories: list[Trajectory], data: st.DataObject
) -> None:
    left, right = (data.draw(st.sampled_from(trajectories)) for _ in range(2))
    assume(left.total_return != right.total_return)
    assume((left.task_id, left.steps) != (right.task_id, right.steps))
    i, j = trajectories.index(left), trajectories.index(right)
    swapped = list(trajectories)
    swapped[i] = replace(left, total_return=right.total_return)
    swapped[j] = replace(right, total_return=left.total_return)
    assume(sorted(map(fact, swapped)) != sorted(map(fact, trajectories)))
    assert build_forest(swapped).digest() != build_forest(trajectories).digest()


def fact(trajectory: Trajectory) -> str:
    return repr((trajectory.task_id, trajectory.steps, trajectory.total_return + 0.0))


def test_payload_errors_and_the_sign_of_zero_do_not_matter() -> None:
    plain = [episode("ab", 0.0), episode("c", 1.0)]
    step = replace(plain[0].steps[0], response="Thought: hm")
    rich = [
        replace(
            plain[0], steps=(step, plain[0].steps[1]), total_return=-0.0, origin=Origin(seed=1)
        ),
        replace(plain[1], status="truncated"),
        episode("d", 0.0, status="error"),
    ]
    assert build_forest(rich).digest() == build_forest(plain).digest()


def test_ids_texts_and_files_do_not_matter(tmp_path: Path) -> None:
    trajectories = [episode("ab", 1.0), episode("aC", 0.5), episode("d", 0.0, "other task")]
    forest = build_forest(trajectories)
    forest.save(tmp_path / "f")
    assert open_forest(tmp_path / "f").digest() == forest.digest()
    # The same by numbers: other ids, unused texts, a TextColumn that is part of a longer one.
    column = TextColumn.of(["unused", "d", "c", "b", "a"])
    core = _core.build_forest(
        np.array([3, 2, 3, 1, 0], np.int32),
        np.array([1, 1, 1, 0, 1], np.int32),
        np.array([0, 2, 4, 5]),
        np.array([0, 0, 1], np.int32),
        np.array([1.0, 0.5, 0.0]),
        2,
    )
    by_number = Forest(
        ForestParts(
            core,
            task_ids=["task", "other task"],
            actions=TextColumn(column.data, column.offset[1:]),
            observations=["other", "usual"],
        )
    )
    assert by_number.digest() == forest.digest()


def test_threads_do_not_change_it() -> None:
    trajectories = [
        episode(steps, i / 7, f"task {task}")
        for task in range(9)
        for i, steps in enumerate(["abc", "abd", "aB", "", "abc"])
    ]
    forest = build_forest(trajectories)
    tables = [TextColumn.of(t) for t in (forest.task_ids, forest.actions, forest.observations)]
    found = {_core.digest(forest.core, *tables, num_threads=n) for n in (1, 2, 3, 8)}
    assert len(found) == 1


def test_refuses_tables_that_do_not_fit() -> None:
    core = build_forest([episode("ab", 1.0)]).core
    tables = {"task_ids": ["t"], "actions": ["a", "b"], "observations": ["o"]}
    for wrong, match in (
        ({"task_ids": []}, "task_ids has 0 elements; expected 1, one for each tree"),
        ({"actions": ["a"]}, r"action_id\[2\]=1 has no text: 1 given"),
        ({"observations": []}, r"observation_id\[1\]=0 has no text: 0 given"),
    ):
        with pytest.raises(InvalidInput, match=match):
            Forest(ForestParts(core, **{**tables, **wrong})).digest()
    torn = TextColumn(np.zeros(2, np.uint8), np.array([0, 5, 2]))
    with pytest.raises(InvalidInput, match=r"actions.offset\[2\]: expected at least the offset"):
        Forest(ForestParts(core, **{**tables, "actions": torn})).digest()


# XXH64 itself.


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [  # of the reference implementation
        (b"", 0, 0xEF46DB3751D8E999),
        (b"", 2654435761, 0xAC75FDA2929B17EF),
        (b"a", 0, 0xD24EC4F1A98C6E5B),
        (b"abc", 0, 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
    ],
)
def test_xxh64_vectors(text: bytes, seed: int, expected: int) -> None:
    assert _core.xxh64(text, seed) == digest_oracle.xxh64(text, seed) == expected


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1))
def test_xxh64_is_as_published(data: bytes, seed: int) -> None:
    assert _core.xxh64(data, seed) == digest_oracle.xxh64(data, seed)


@given(st.binary(max_size=2000), st.integers(0, 2**64 - 1))
def test_xxh64_equals_the_reference(data: bytes, seed: int) -> None:
    reference = pytest.importorskip("xxhash")
    assert _core.xxh64(data, seed) == reference.xxh64_intdigest(data, seed)
