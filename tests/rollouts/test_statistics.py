"""Runs in numbers, against the same numbers counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.looked_at import looked_at

from w2stree import Step, ToolCall, Trajectory
from w2stree.rollouts.causes import Cause
from w2stree.rollouts.statistics import Bin, SamplingOutcome, Spread, statistics_of
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.tool_call import action_of


def returned(*values: float) -> list[Trajectory]:
    return [Trajectory("t", (), (), value, "done") for value in values]


def test_runs_by_hand() -> None:
    found = statistics_of(looked_at())
    assert (found.num_runs, found.num_tasks, found.num_success) == (8, 3, 3)
    assert found.num_by_status == {"done": 6, "truncated": 1, "error": 1}
    assert found.return_bins == (Bin(0, 0, 3), Bin(0.5, 0.5, 1), Bin(1, 1, 3))
    assert found.steps_per_run == Spread(2, 2, 2, 2, 3, 15 / 7, 15)
    assert found.num_turns == 15
    assert (found.num_without_action, found.num_without_words, found.num_cut_off) == (0, 0, 0)
    assert found.tokens_per_run is None
    assert found.causes == (Cause(1, "server 17 is away"),)
    assert found.samplings == (
        SamplingOutcome("script", None, 0.5, None, 4, 0, 2, 0.5),
        SamplingOutcome("script", None, 1.0, None, 3, 1, 1, 0.5),
    )


def test_turns_of_every_kind() -> None:
    calls = (ToolCall("look"),)
    steps = (
        Step("", "What?", "Hm."),
        Step("go", "Gone."),  # an action, and no words that it came of
        Step("go", "Gone.", "Action: go", token_ids=(1, 2, 3), is_cut=True),
        Step(action_of(calls), "A hall.", tool_calls=calls),
    )
    run = Trajectory("t", (), steps, 0.0, "truncated", Origin(truncated_by="context"))
    found = statistics_of([run, replace(run, steps=steps[2:3], origin=Origin())])
    assert found.num_turns == 5
    assert (found.num_without_action, found.num_without_words) == (1, 1)
    assert (found.num_with_tool_calls, found.num_with_token_ids, found.num_cut_off) == (1, 2, 2)
    assert found.tokens_per_run == Spread(3, 3, 3, 3, 3, 3, 3)  # the other does not say it
    assert found.num_truncated_by == {"context": 1}


def test_many_returns_are_ten_bins() -> None:
    found = statistics_of(returned(*range(100), 100))
    assert [b.count for b in found.return_bins] == [10] * 9 + [11]
    assert [(b.low, b.high) for b in found.return_bins[:2]] == [(0, 10), (10, 20)]
    assert found.return_bins[-1].high == 100


@pytest.mark.parametrize(
    ("values", "threshold", "num_success"),
    [
        ((0.0, 1.0), None, 1),
        ((0.0, 0.9999999999999999), None, 1),
        ((0.0, 100.0), None, None),
        ((0.0, 100.0), 50.0, 1),
        ((), None, 0),
    ],
)
def test_success(
    values: tuple[float, ...], threshold: float | None, num_success: int | None
) -> None:
    assert statistics_of(returned(*values), success_threshold=threshold).num_success == num_success
