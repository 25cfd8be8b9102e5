"""Metrics over test tasks: average reward, success rate, PGR, bootstrap intervals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.evaluation.cells import Floats, as_floats
from w2stree.evaluation.resamples import chunks
from w2stree.forest.arguments import finite
from w2stree.trajectories.returns import ReturnRange, at_least, check_returns, threshold_in
from w2stree.trajectories.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over tasks with its 95 % percentile bootstrap interval."""

    mean: float
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How one run of episodes did on its tasks; see `evaluate`."""

    avg_reward: Estimate
    success_rate: Estimate
    num_tasks: int
    num_errors: int
    """Episodes that ended in an error; they are not scored."""
    mean_steps: float
    """Over the episodes that did not end in an error; 0 if there are none."""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One row of the results table.

    `pgr` is the performance gap recovered, (x - weak) / (ceiling - weak), None without a ceiling
    and where the ceiling is not above the weak model. `differences` are of average reward, to
    each method compared with, by its name, and paired: the same tasks, resampled together.
    `mean_steps` is over runs that did not end in an error.
    """

    method: str
    avg_reward: float
    ci95: tuple[float, float]
    success_rate: float
    success_rate_ci95: tuple[float, float]
    pgr: float | None
    num_tasks: int
    num_errors: int
    mean_steps: float
    differences: Mapping[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values; each difference under a key of its own, `diff_to_<name>`."""
        record = asdict(self)
        differences = record.pop("differences")
        return record | {f"diff_to_{name}": value for name, value in differences.items()}


def returns_by_task(trajectories: Sequence[Trajectory], task_ids: Sequence[str]) -> Floats:
    """The mean return of each task, (num_tasks,); a task without a finished run counts 0.

    Runs that ended in an error are not scored; their task then counts 0 only where no other
    run of it finished. Raises `InvalidInput` for a trajectory of a task not asked for, for a
    task asked for twice and for a return that is not finite.
    """
    return _mean_by_task(trajectories, task_ids, lambda total_return: total_return)


def successes_by_task(
    trajectories: Sequence[Trajectory],
    task_ids: Sequence[str],
    success_threshold: float,
    *,
    return_range: ReturnRange | None = None,
) -> Floats:
    """The share of each task's runs with return >= `success_threshold`; as `returns_by_task`.

    Counted run by run: two runs of 1 and 0 are one success in two, whatever their mean. Equal but
    for rounding is enough (`trajectories.returns`). The threshold is a share of `return_range`,
    which is [0, 1] unless stated: a return outside it raises `InvalidInput`, as a threshold that
    is no finite number does.
    """
    success_threshold = finite("success_threshold", success_threshold)
    finished = (t for t in trajectories if t.status != "error")
    check_returns(((f"task {t.task_id!r}", t.total_return) for t in finished), return_range)
    threshold = threshold_in(return_range, success_threshold)
    return _mean_by_task(trajectories, task_ids, lambda value: float(at_least(value, threshold)))


def bootstrap(values: Floats, *, num_bootstrap: int, seed: int) -> Estimate:
    """Mean over tasks with its 95 % percentile interval; resamples tasks with replacement.

    Values are (num_tasks,). Same seed, same resamples: two calls on paired values of equal
    length resample the same tasks. O(num_bootstrap * num_tasks) time, a few MiB. Raises
    `InvalidInput` for no values, one that is no finite number or above 1e150 either side of 0, and
    unless `num_bootstrap` is a whole number of 1 to 100,000,000.
    """
    values = as_floats("values", values)
    if values.ndim != 1 or not len(values):
        raise InvalidInput(f"values have shape {values.shape}; expected at least one task")
    parts = chunks(num_bootstrap, len(values))
    rng = np.random.default_rng(seed)
    means = np.empty(num_bootstrap)
    for part in parts:
        chunk = means[part]
        drawn = rng.integers(len(values), size=(len(chunk), len(values)))
        chunk[:] = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), (float(low), float(high)))


def performance_gap_recovered(value: float, weak: float, ceiling: float) -> float:
    """PGR = (x - weak) / (ceiling - weak) (Burns et al., 2023).

    NaN with a warning where the ceiling is not above the weak model: there is no gap to
    recover, and a negative one would call losses gains.
    """
    gap = ceiling - weak
    if gap < 1e-9:
        warnings.warn(
            f"PGR is undefined: the ceiling's average reward ({ceiling:.4f}) is not above the "
            f"weak model's ({weak:.4f})",
            UserWarning,
            stacklevel=2,
        )
        return math.nan
    return (value - weak) / gap


def evaluate(
    trajectories: Sequence[Trajectory],
    task_ids: Sequence[str] | None = None,
    *,
    success_threshold: float = 1.0,
    return_range: ReturnRange | None = None,
    num_bootstrap: int = 10_000,
    seed: int = 0,
) -> Evaluation:
    """Average reward and success rate over tasks, with 95 % bootstrap intervals over tasks.

    `task_ids` are the tasks that were to be played: one without a finished run counts 0. None:
    those that `trajectories` name, errors included. Every task counts the same, by the mean over
    its runs; runs that ended in an error are counted, not scored. A run succeeds as
    `successes_by_task` says, by `success_threshold` and `return_range`.

    Raises `InvalidInput` as `returns_by_task` does, for no task at all too, for a threshold that
    is no finite number and for `num_bootstrap` below 1 or above 100,000,000.
    O(num_trajectories + num_bootstrap * num_tasks) time, a few MiB.
    """
    if task_ids is None:
        task_ids = list(dict.fromkeys(t.task_id for t in trajectories))
    rewards = returns_by_task(trajectories, task_ids)
    successes = successes_by_task(
        trajectories, task_ids, success_threshold, return_range=return_range
    )
    scored = [t for t in trajectories if t.status != "error"]
    return Evaluation(
        avg_reward=bootstrap(rewards, num_bootstrap=num_bootstrap, seed=seed),
        success_rate=bootstrap(successes, num_bootstrap=num_bootstrap, seed=seed),
        num_tasks=len(task_ids),
        num_errors=len(trajectories) - len(scored),
        mean_steps=sum(len(t.steps) for t in scored) / max(1, len(scored)),
    )


def compare(
    runs: Mapping[str, Sequence[Trajectory]],
    task_ids: Sequence[str],
    *,
    weak: str,
    ceiling: str | None,
    against: Sequence[str],
    success_threshold: float,
    return_range: ReturnRange | None = None,
    num_bootstrap: int,
    seed: int,
) -> list[MethodResult]:
    """A row for each method of `runs`, in the order given.

    `weak` and `ceiling` name the methods between which PGR measures (no ceiling: no PGR);
    `against` those to which every row has a paired difference. Raises `InvalidInput` where
    `runs` lacks one of them.
    """
    for needed in (weak, *against, *([] if ceiling is None else [ceiling])):
        if needed not in runs:
            raise InvalidInput(f"runs has no {needed!r}; every row is compared with it")
    returns = {method: returns_by_task(run, task_ids) for method, run in runs.items()}
    pgr = _gap_recovered(returns, weak, ceiling)

    def row(method: str) -> MethodResult:
        found = evaluate(
            runs[method],
            task_ids,
            success_threshold=success_threshold,
            return_range=return_range,
            num_bootstrap=num_bootstrap,
            seed=seed,
        )
        return MethodResult(
            method=method,
            avg_reward=found.avg_reward.mean,
            ci95=found.avg_reward.ci95,
            success_rate=found.success_rate.mean,
            success_rate_ci95=found.success_rate.ci95,
            pgr=pgr[method],
            num_tasks=found.num_tasks,
            num_errors=found.num_errors,
            mean_steps=found.mean_steps,
            differences={
                other: bootstrap(
                    returns[method] - returns[other], num_bootstrap=num_bootstrap, seed=seed
                )
                for other in against
            },
        )

    return [row(method) for method in runs]


def _gap_recovered(
    returns: Mapping[str, Floats], weak: str, ceiling: str | None
) -> dict[str, float | None]:
    """PGR of each method; without a gap None for all, and one warning instead of one each."""
    if ceiling is None:
        return dict.fromkeys(returns)
    floor, top = float(returns[weak].mean()), float(returns[ceiling].mean())
    if math.isnan(performance_gap_recovered(floor, floor, top)):
        return dict.fromkeys(returns)
    return {
        method: performance_gap_recovered(float(values.mean()), floor, top)
        for method, values in returns.items()
    }


def _mean_by_task(
    trajectories: Sequence[Trajectory], task_ids: Sequence[str], score: Callable[[float], float]
) -> Floats:
    index = {task_id: i for i, task_id in enumerate(task_ids)}
    if not task_ids or len(index) < len(task_ids):
        raise InvalidInput(
            f"{len(task_ids)} task ids, {len(index)} of them distinct; name each once"
        )
    total, count = np.zeros(len(task_ids)), np.zeros(len(task_ids))
    for number, trajectory in enumerate(trajectories):
        where = f"trajectories[{number}] of task {trajectory.task_id!r}"
        if trajectory.task_id not in index:
            raise InvalidInput(f"{where}: this task is not evaluated")
        if trajectory.status == "error":
            continue
        if not math.isfinite(trajectory.total_return):
            raise InvalidInput(f"{where}: total_return is {trajectory.total_return!r}")
        total[index[trajectory.task_id]] += score(trajectory.total_return)
        count[index[trajectory.task_id]] += 1
    return total / np.maximum(count, 1)
