"""M runs of each task, of those explored: nested in M, no sampling preferred."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pydantic")

from w2stree.errors import InvalidInput
from w2stree.experiment.config import load_config
from w2stree.experiment.first_runs import first_runs
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Step, Trajectory


def _run(task: int, sample: int | None) -> Trajectory:
    prompt, steps = (Message("user", f"task {task}"),), (Step("go", "ok", "go"),)
    return Trajectory(f"t/{task}", prompt, steps, 0.0, "done", Origin(sample_index=sample))


def _explored(num_tasks: int, num_samples: int) -> list[Trajectory]:
    return [_run(task, sample) for task in range(num_tasks) for sample in range(num_samples)]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 5)), max_size=30),
    st.integers(1, 9),
)
def test_runs_for_a_smaller_m_are_among_those_for_a_larger(
    given_runs: list[tuple[int, int | None]], num_runs: int
) -> None:
    explored = [_run(task, sample) for task, sample in given_runs]
    fewer, more = ([*map(id, first_runs(explored, m))] for m in (num_runs, num_runs + 1))
    assert set(fewer) <= set(more)
    assert fewer == [i for i in map(id, explored) if i in set(fewer)]  # in the order given
    found = Counter(t.task_id for t in first_runs(explored, num_runs))
    everything = Counter(t.task_id for t in explored)
    assert found == {task: min(num_runs, count) for task, count in everything.items()}
    assert [*map(id, first_runs(explored, None))] == [*map(id, explored)]


@pytest.mark.parametrize("num_runs", [1, 2, 3, 5, 6])
def test_every_sampling_is_taken_as_often(num_runs: int) -> None:
    found = first_runs(_explored(12, 6), num_runs)
    taken = Counter(run.origin.sample_index for run in found)
    assert taken == dict.fromkeys(range(6), 2 * num_runs)


def test_the_order_of_the_file_says_nothing() -> None:
    explored = _explored(3, 4)
    backwards = [run for task in range(3) for run in explored[4 * task : 4 * task + 4][::-1]]
    chosen = [
        {r.origin for r in first_runs(e, 2) if r.task_id == "t/1"} for e in (explored, backwards)
    ]
    assert chosen[0] == chosen[1] == {Origin(sample_index=1), Origin(sample_index=2)}


def test_an_error_is_one_of_the_runs() -> None:
    explored = [replace(run, status="error") for run in _explored(1, 2)]
    assert first_runs(explored, 1) == explored[:1]


def test_more_than_are_explored_are_refused() -> None:
    assert load_config("miniature", ["num_trajectories=3"]).num_trajectories == 3
    with pytest.raises(
        InvalidInput, match=r"num_trajectories is 4, but explore\.samplings gives each"
    ):
        load_config("miniature", ["num_trajectories=4"])
