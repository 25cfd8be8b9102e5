"""How often models rank pairs of held-out tasks rightly: the assumption of the paper's Theorem 1.

    pair of runs of a held-out task, a better than b
    right        log pi(a) - log pi_ref(a)  >  log pi(b) - log pi_ref(b)
    counted      before training and after, by gap of return and depth of the divergence

A model's implicit reward is its log-ratio to the reference (`training.implicit_reward`). Pairs are
of runs on tasks that nothing was trained on: the weak model's, where the stage `explore_held_out`
has played them, else the test episodes of the trained methods that are not measured. `dense`
returns are the environment's, `sparse` ones 1 for success and 0 for none.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from w2stree.errors import IdenticalTrajectories, InvalidInput
from w2stree.experiment.analyses.analysis import Analysis, Figures
from w2stree.experiment.analyses.figures import in_columns, write_figures
from w2stree.experiment.analyses.finished_run import FinishedRun, finished_run
from w2stree.experiment.section import Positive, Section, Whole
from w2stree.forest.build import build_forest
from w2stree.rows.rows import Completion, PreferenceRow, preference_rows
from w2stree.shorten import visible
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

Floats = NDArray[np.float64]

HELD_OUT = "explore_held_out"
_GAPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_DEPTH = 6
_ABOVE = f"above {_GAPS[-1]:g}"
_DEEPER = f"{_MOST_DEPTH} and more"
_NUM_RESAMPLES = 2000

_RETURNS = ("dense", "sparse")
_WHEN = ("before", "after", "difference")


class AssumptionSettings(Section):
    """Each is an argument of `assumption`; `played` has to be said, so that a result does not
    depend on what else has been run there."""

    after: str
    played: Annotated[list[str], Field(min_length=1)]
    before: str = "sft_strong"
    reference: str = "sft_weak"
    max_rows: Positive = 1000
    seed: Whole = 0

    @field_validator("played")
    @classmethod
    def _of_held_out_tasks(cls, given: list[str]) -> list[str]:
        for stage in given:
            if stage != HELD_OUT and not stage.startswith("evaluate_"):
                raise InvalidInput(
                    f"{stage}: is no stage of held-out tasks; give {HELD_OUT} or evaluate_METHOD"
                )
        return given


def assumption(
    run_dir: Path,
    *,
    after: str,
    before: str = "sft_strong",
    reference: str = "sft_weak",
    played: Sequence[str] | None = None,
    max_rows: int = 1000,
    seed: int = 0,
    out: Path | None = None,
) -> dict[str, Any]:
    """The accuracy of the implicit reward of two finished models of a run, by completion (step,
    suffix), returns (dense, sparse), gap and depth; JSON.

    `before`, `after`, `reference` are stages that trained a model, `played` stages whose runs the
    pairs are of. Of more than `max_rows` rows so many are drawn. Ties count half; intervals (95 %)
    resample tasks. Rows too long for any of the models (`max_length` of the run) are left out and
    counted. With `out`, a folder, `assumption.json` and `assumption.txt` (`table`) are written.

    Raises `RunDirectoryError` for what the run lacks, `InvalidInput` for runs of tasks that the
    run's models were trained on, where no two runs of a task differ in return, and for no rows.
    """
    if max_rows < 1:
        raise InvalidInput(f"max_rows is {max_rows}; at least one row is ranked")
    # Models are an extra; an experiment's table and a command's help wait for none.
    from w2stree.training.implicit_reward import is_right, side_logprobs
    from w2stree.training.models import load_model

    run = finished_run(run_dir)
    threshold = run.success_threshold
    stages = list(played) if played is not None else _played(run, {before, after})
    models = {name: run.model(name) for name in dict.fromkeys((before, after, reference))}
    runs = _held_out_runs(run, stages)
    sources = {name: functools.partial(load_model, folder) for name, folder in models.items()}
    figures: dict[str, Any] = {
        "before": before,
        "after": after,
        "reference": reference,
        "played": stages,
        "success_threshold": threshold,
    }
    cells = {
        f"{completion}_{name}": _rows(scored, completion, max_rows, seed)
        for completion in get_args(Completion)
        for name, scored in zip(_RETURNS, (runs, _sparse(runs, threshold)), strict=True)
    }
    if not cells["suffix_dense"]:
        raise InvalidInput(
            f"{visible(str(run_dir))}: no two held-out runs of a task ({', '.join(stages)}) part "
            "by an action and differ in return, so there is no pair to rank; play more of them"
        )
    # All rows at once: they share most of what is read.
    together = [row for rows in cells.values() for row in rows]
    length = run.max_length
    logprobs = {m: side_logprobs(s, together, max_length=length) for m, s in sources.items()}
    if all(np.isnan(figure).all() for figure in logprobs.values()):
        raise InvalidInput(
            f"{visible(str(run_dir))}: all {len(together)} rows exceed the run's max_length "
            f"({length} tokens)"
        )
    right = {m: is_right(logprobs[m], logprobs[reference]) for m in (before, after)}
    start = 0
    for name, rows in cells.items():
        of = slice(start, start + len(rows))
        figures[name] = _grouped(rows, right[before][of], right[after][of], seed)
        start = of.stop
    if out is not None:
        write_figures(out, "assumption", figures, table(figures))
    return figures


def table(figures: Figures) -> str:
    """The same in words, a line a group; ± is half of an interval."""
    lines: list[tuple[str, ...]] = [
        ("", "rows", "tasks", figures["before"], figures["after"], "after - before")
    ]
    for key, found in figures.items():
        if isinstance(found, Mapping):
            lines.append((key.replace("_", ", "), *_cells(found["all"])))
            for by in ("gap", "depth"):
                groups = found[f"by_{by}"].items()
                lines += [(f"  {by} {group}", *_cells(of)) for group, of in groups]
    return in_columns(lines, str.ljust)


def numbers(figures: Figures) -> dict[str, dict[str, float | None]]:
    """The rows of `table`, every gap and depth of them also where no row is of it: means alone,
    the spread of their tasks is not theirs over seeds."""
    gaps = [*(_between(low, high) for low, high in pairwise(_GAPS)), _ABOVE]
    depths = [*map(str, range(_MOST_DEPTH)), _DEEPER]
    rows: dict[str, dict[str, float | None]] = {}
    for completion in get_args(Completion):
        for returns in _RETURNS:
            found, name = figures[f"{completion}_{returns}"], f"{completion}, {returns}"
            rows[name] = _means(figures, found["all"])
            for by, groups in (("gap", gaps), ("depth", depths)):
                rows |= {
                    f"{name}, {by} {group}": _means(figures, found[f"by_{by}"].get(group))
                    for group in groups
                }
    return rows


def _means(figures: Figures, group: Mapping[str, Any] | None) -> dict[str, float | None]:
    names = (figures["before"], figures["after"], "after - before")
    count, means = None, dict.fromkeys(names)
    if group is not None and group["num_rows"]:
        count = group["num_rows"]
        means = {n: group[when]["mean"] for n, when in zip(names, _WHEN, strict=True)}
    return {"rows": count, **means}


def _cells(group: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (str(group["num_rows"]), str(group["num_tasks"]))
    if not group["num_rows"]:
        return (*counts, "", "", "")
    shown = []
    for name in _WHEN:
        low, high = group[name]["interval"]
        sign = "+" if name == "difference" else ""
        shown.append(f"{group[name]['mean']:{sign}.3f} ± {(high - low) / 2:.3f}")
    return (*counts, *shown)


def _played(run: FinishedRun, measured: Collection[str]) -> list[str]:
    if HELD_OUT in run.stages:
        return [HELD_OUT]
    # Random play is so unlikely to any model that a ratio of two of them says nothing of its turns.
    trained = [method for method in run.methods if method in run.stages]
    return [f"evaluate_{method}" for method in trained if method not in measured]


def _held_out_runs(run: FinishedRun, stages: Sequence[str]) -> list[Trajectory]:
    """Without those that ended in an error. Raises `InvalidInput` for a run of a task that was
    demonstrated or explored."""
    parts = run.parts()
    trained = {*parts.demonstrations.task_ids, *parts.explore.task_ids}
    runs = []
    for stage in stages:
        played = run.played(stage)
        if (shown := next((t.task_id for t in played if t.task_id in trained), None)) is not None:
            raise InvalidInput(
                f"{visible(str(run.path / stage))}: {visible(shown)} was demonstrated or explored, "
                f"so its pairs are not held out; give stages of other tasks, as {HELD_OUT}"
            )
        runs += [run for run in played if run.status != "error"]
    if not runs:
        raise InvalidInput(
            f"{visible(str(run.path))}: no held-out runs ({', '.join(stages) or 'no stage'})"
        )
    return runs


def _sparse(runs: Sequence[Trajectory], threshold: float) -> list[Trajectory]:
    return [replace(t, total_return=float(at_least(t.total_return, threshold))) for t in runs]


def _rows(
    runs: Sequence[Trajectory], completion: Completion, max_rows: int, seed: int
) -> list[PreferenceRow]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdenticalTrajectories)  # of a task that says nothing
        forest = build_forest(runs)
    rows = list(preference_rows(forest.pairs(), completion))
    if len(rows) <= max_rows:
        return rows
    chosen = np.random.default_rng(seed).choice(len(rows), max_rows, replace=False)
    return [rows[i] for i in sorted(chosen.tolist())]


def _grouped(
    rows: Sequence[PreferenceRow], before: Floats, after: Floats, seed: int
) -> dict[str, Any]:
    """Figures of all rows, and by gap and by depth; rows that a model could not read apart."""
    is_read = ~(np.isnan(before) | np.isnan(after))
    groups: dict[str, Callable[[PreferenceRow], str]] = {"gap": _gap, "depth": _depth}

    def figures(indices: Sequence[int]) -> dict[str, Any]:
        read = [i for i in indices if is_read[i]]
        tasks = [rows[i].task_id for i in read]
        columns = (before[read], after[read], after[read] - before[read])
        return {
            "num_rows": len(read),
            "num_tasks": len(set(tasks)),
            **{n: _mean(column, tasks, seed) for n, column in zip(_WHEN, columns, strict=True)},
        }

    found = {"num_too_long": int((~is_read).sum()), "all": figures(range(len(rows)))}
    for name, group in groups.items():
        members: dict[str, list[int]] = {}
        for i, row in enumerate(rows):
            members.setdefault(group(row), []).append(i)
        found[f"by_{name}"] = {key: figures(members[key]) for key in sorted(members)}
    return found


def _mean(values: Floats, tasks: Sequence[str], seed: int) -> dict[str, Any] | None:
    """The mean over rows, and its 95 % interval where tasks are resampled with all their rows."""
    if not len(values):
        return None
    _, task = np.unique(tasks, return_inverse=True)
    sums, counts = np.bincount(task, values), np.bincount(task)
    draw = np.random.default_rng(seed).integers(0, len(sums), (_NUM_RESAMPLES, len(sums)))
    means = sums[draw].sum(1) / counts[draw].sum(1)
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return {"mean": float(values.mean()), "interval": [low, high]}


def _gap(row: PreferenceRow) -> str:
    """Its interval, the upper end included."""
    for low, high in pairwise(_GAPS):
        if row.gap <= high + 1e-9:
            return _between(low, high)
    return _ABOVE


def _between(low: float, high: float) -> str:
    return f"{low:g} to {high:g}"


def _depth(row: PreferenceRow) -> str:
    return str(row.begin) if row.begin < _MOST_DEPTH else _DEEPER


ANALYSIS = Analysis(
    name="assumption",
    question="How often do models rank pairs of held-out tasks rightly, before training and after?",
    settings=AssumptionSettings,
    stages=lambda s: tuple(dict.fromkeys(("tasks", s.before, s.after, s.reference, *s.played))),
    reads=("max_length",),
    measure=assumption,
    table=table,
    numbers=numbers,
    counts=("rows",),
)
