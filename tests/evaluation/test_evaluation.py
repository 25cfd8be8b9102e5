"""Metrics over test tasks: what counts, what is paired, what is undefined, and what it costs."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
import pytest
from support.strategies import episode, forged

from w2stree import InvalidInput, Trajectory
from w2stree.evaluation import (
    MethodResult,
    bootstrap,
    compare,
    evaluate,
    performance_gap_recovered,
    returns_by_task,
    successes_by_task,
)

TASKS = [f"t{i}" for i in range(20)]


def run_of(returns: list[float]) -> list[Trajectory]:
    return [episode("ab", value, task) for task, value in zip(TASKS, returns, strict=False)]


def rows_of(
    runs: dict[str, list[Trajectory]], *, ceiling: str | None = "ceiling", seed: int = 3
) -> dict[str, MethodResult]:
    rows = compare(
        runs,
        TASKS,
        weak="sft_weak",
        ceiling=ceiling,
        against=("sft_weak", "sft_strong"),
        success_threshold=1.0,
        num_bootstrap=500,
        seed=seed,
    )
    return {row.method: row for row in rows}


def noisy(mean: float, seed: int) -> list[float]:
    return np.random.default_rng(seed).uniform(mean - 0.2, mean + 0.2, len(TASKS)).tolist()


def test_missing_tasks_count_zero_and_errors_are_not_runs() -> None:
    run = [
        episode("a", 1.0, "x"),
        episode("a", 0.5, "x"),
        episode("a", 0.9, "x", status="error"),  # another run of x finished
        episode("a", 0.9, "y", status="error"),  # the only run of y
        episode("a", 0.25, "w", status="truncated"),
    ]
    assert returns_by_task(run, ["x", "y", "z", "w"]).tolist() == [0.75, 0.0, 0.0, 0.25]


def test_success_is_counted_run_by_run_at_the_threshold() -> None:
    run = [episode("a", 1.0, "x"), episode("a", 0.5, "x"), episode("a", 0.75, "y")]
    assert successes_by_task(run, ["x", "y"], 1.0).tolist() == [0.5, 0.0]
    assert successes_by_task(run, ["x", "y"], 0.75).tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("run", "tasks", "message"),
    [
        ([episode("a", 1.0, "q")], ["x"], r"trajectories\[0\] of task 'q': this task is not"),
        (
            [forged(episode("a", 1.0, "x"), total_return=math.nan)],
            ["x"],
            r"trajectories\[0\] of task 'x': total_return is",
        ),
        ([], ["x", "x"], "2 task ids, 1 of them distinct"),
        ([], [], "0 task ids"),
    ],
)
def test_bad_input_is_named(run: list[Trajectory], tasks: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        returns_by_task(run, tasks)


def test_bootstrap_resamples_whole_tasks_alike_for_paired_values() -> None:
    """Against the plain loop on the same stream, with a chunk boundary inside."""
    values = np.random.default_rng(0).random(1500)
    rng = np.random.default_rng(7)
    means = [values[rng.integers(1500, size=1500)].mean() for _ in range(1000)]
    estimate = bootstrap(values, num_bootstrap=1000, seed=7)
    assert estimate.mean == values.mean()
    assert estimate.ci95 == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=1e-12)
    # A constant shift of every task moves the interval by exactly that: resamples are shared.
    shifted = bootstrap(values + 0.25, num_bootstrap=1000, seed=7)
    assert np.subtract(shifted.ci95, estimate.ci95) == pytest.approx([0.25, 0.25], abs=1e-12)


def test_bootstrap_interval_has_about_the_width_of_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 400)
    low, high = bootstrap(values, num_bootstrap=4000, seed=0).ci95
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)
    assert low < values.mean() < high


def test_bootstrap_needs_a_task() -> None:
    with pytest.raises(InvalidInput, match="at least one task"):
        bootstrap(np.empty(0), num_bootstrap=10, seed=0)


def test_bootstrap_of_a_report_is_fast() -> None:
    values = np.random.default_rng(0).random(150)
    bootstrap(values, num_bootstrap=10, seed=0)
    started = time.process_time()
    bootstrap(values, num_bootstrap=10_000, seed=0)
    assert time.process_time() - started < 1.0


def test_differences_are_paired() -> None:
    """A method 0.1 better on every task: noisy rewards, an interval without any width."""
    weak = noisy(0.5, 0)
    runs = {
        "sft_weak": run_of(weak),
        "sft_strong": run_of(noisy(0.5, 1)),
        "tree_dpo": run_of([value + 0.1 for value in weak]),
        "ceiling": run_of(noisy(0.8, 2)),
    }
    rows = rows_of(runs)
    gain = rows["tree_dpo"].differences["sft_weak"]
    assert [gain.mean, *gain.ci95] == pytest.approx([0.1] * 3)
    low, high = rows["tree_dpo"].ci95
    assert high - low > 0.05
    assert rows["sft_weak"].differences["sft_weak"].ci95 == (0.0, 0.0)
    unpaired = rows["tree_dpo"].differences["sft_strong"].ci95
    assert unpaired[1] - unpaired[0] > 0.05


def test_rows_keep_their_order_and_report_errors_and_steps() -> None:
    broken = [episode("abcdef", 0.0, "t0", status="error"), *run_of([1.0] * 20)[1:]]
    runs = {
        "ceiling": run_of([1.0] * 20),
        "sft_weak": run_of([0.0] * 20),
        "random": [],
        "sft_strong": broken,
    }
    rows = rows_of(runs)
    assert list(rows) == list(runs)
    strong = rows["sft_strong"]
    assert strong.avg_reward == strong.success_rate == strong.pgr == 0.95
    assert (strong.num_errors, strong.mean_steps, strong.num_tasks) == (1, 2.0, 20)
    assert (rows["random"].avg_reward, rows["random"].mean_steps) == (0.0, 0.0)


def test_pgr() -> None:
    assert performance_gap_recovered(0.5, 0.25, 0.75) == 0.5
    assert performance_gap_recovered(0.1, 0.25, 0.75) < 0


@pytest.mark.parametrize("ceiling", [0.5, 0.3])
def test_pgr_without_a_gap_is_nan_with_a_warning(ceiling: float) -> None:
    with pytest.warns(UserWarning, match="PGR is undefined"):
        assert math.isnan(performance_gap_recovered(0.4, 0.5, ceiling))


def test_compare_without_a_gap_warns_once_and_gives_none() -> None:
    runs = dict.fromkeys(("sft_weak", "sft_strong", "tree_dpo", "ceiling"), run_of([0.5] * 20))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = rows_of(runs)
    assert [row.pgr for row in rows.values()] == [None] * 4
    assert len(caught) == 1
    assert rows["tree_dpo"].to_dict()["pgr"] is None


def test_compare_needs_what_it_compares_with() -> None:
    with pytest.raises(InvalidInput, match="no 'ceiling'"):
        rows_of({"sft_weak": [], "sft_strong": []})
    with pytest.raises(InvalidInput, match="no 'sft_strong'"):
        rows_of({"sft_weak": [], "ceiling": []})


def test_without_a_ceiling_there_is_no_pgr_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = rows_of(dict.fromkeys(("sft_weak", "sft_strong"), run_of([0.5] * 20)), ceiling=None)
    assert [row.pgr for row in rows.values()] == [None, None]


def test_names_are_the_caller_s_and_become_keys_of_the_record() -> None:
    runs = {"small": run_of(noisy(0.4, 0)), "large": run_of(noisy(0.6, 1))}
    small, large = compare(
        runs,
        TASKS,
        weak="small",
        ceiling="large",
        against=("small",),
        success_threshold=1.0,
        num_bootstrap=50,
        seed=0,
    )
    assert (small.pgr, large.pgr) == (0.0, 1.0)
    record = large.to_dict()
    assert list(record)[-1] == "diff_to_small"
    assert record["diff_to_small"]["mean"] == large.differences["small"].mean > 0
    assert "differences" not in record


def test_evaluate_is_a_row_without_comparisons() -> None:
    run = [
        episode("abc", 1.0, "t0"),
        episode("ab", 0.5, "t1"),
        episode("a", 1.0, "t2", status="error"),
    ]
    found = evaluate(run, num_bootstrap=100, seed=3)
    assert (found.num_tasks, found.num_errors, found.mean_steps) == (3, 1, 2.5)
    assert found.avg_reward.mean == 0.5
    assert found.success_rate.mean == pytest.approx(1 / 3)
    assert found == evaluate(run, ["t0", "t1", "t2"], num_bootstrap=100, seed=3)
    assert evaluate(run[:2], success_threshold=0.5, num_bootstrap=10).success_rate.mean == 1.0
    with pytest.raises(InvalidInput, match="0 task ids"):
        evaluate([])


def test_compare_s_figures_are_evaluate_s() -> None:
    runs = {"sft_weak": run_of(noisy(0.4, 0)), "sft_strong": run_of(noisy(0.6, 1))}
    row = rows_of(runs, ceiling=None)["sft_strong"]
    found = evaluate(runs["sft_strong"], TASKS, num_bootstrap=500, seed=3)
    assert (row.avg_reward, row.ci95) == (found.avg_reward.mean, found.avg_reward.ci95)
    assert row.success_rate_ci95 == found.success_rate.ci95


def test_same_seed_same_rows() -> None:
    methods = enumerate(("sft_weak", "sft_strong", "ceiling"))
    runs = {method: run_of(noisy(0.4 + 0.1 * i, i)) for i, method in methods}
    assert rows_of(runs) == rows_of(runs)
    assert rows_of(runs) != rows_of(runs, seed=4)


@pytest.mark.parametrize("num_bootstrap", [0, -1, 2.5, True, "10"])
def test_resamples_are_a_whole_number(num_bootstrap: Any) -> None:
    with pytest.raises(InvalidInput, match=f"num_bootstrap is {num_bootstrap!r}; give a whole"):
        evaluate(run_of([1.0]), num_bootstrap=num_bootstrap)


@pytest.mark.parametrize("num_bootstrap", [100_000_001, 10**15, np.int64(2**40)])
def test_resamples_that_nobody_could_hold_are_refused_at_once(num_bootstrap: Any) -> None:
    with pytest.raises(InvalidInput, match=f"num_bootstrap is {num_bootstrap}; give at most 100,"):
        evaluate(run_of([1.0]), num_bootstrap=num_bootstrap)


def test_numbers_of_numpy_are_numbers() -> None:
    runs = run_of([1.0, 0.0, 1.0])
    for kind in (np.int64, np.float32, np.uint8):
        found = evaluate(runs, success_threshold=kind(1), num_bootstrap=np.int64(10))  # type: ignore[arg-type]
        assert found == evaluate(runs, success_threshold=1.0, num_bootstrap=10)


@pytest.mark.parametrize("values", [[0.5, math.nan], [math.inf, 0.5], [1e200, 0.5]])
def test_values_that_cannot_be_counted_are_named(values: list[float]) -> None:
    with pytest.raises(InvalidInput, match=r"values\[[01]\] is"):
        bootstrap(np.array(values), num_bootstrap=10, seed=0)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, "1", None, True, 10**400])
def test_the_threshold_is_a_number(threshold: Any) -> None:
    with pytest.raises(InvalidInput, match=f"success_threshold={threshold!r}; expected a finite"):
        evaluate(run_of([1.0]), success_threshold=threshold)


def test_returns_on_another_scale_need_their_range() -> None:
    runs = [episode("a", 60.0), episode("b", 100.0)]
    with pytest.raises(InvalidInput, match=r"'task': total_return 60 is outside \[0, 1\]; state"):
        evaluate(runs)
    found = evaluate(runs, return_range=(0, 100), num_bootstrap=10)
    assert found.success_rate.mean == 0.5
    assert found.avg_reward.mean == 80.0


def test_ten_rewards_of_a_tenth_are_a_success() -> None:
    assert evaluate([episode("a", sum([0.1] * 10))], num_bootstrap=10).success_rate.mean == 1.0
