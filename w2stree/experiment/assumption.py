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
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import IdenticalTrajectories, InvalidInput
from w2stree.experiment.figures import in_columns, write_figures
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_json import read_json
from w2stree.experiment.stages.context import TASKS_FILE
from w2stree.forest.build import build_forest
from w2stree.rows.rows import Completion, PreferenceRow, preference_rows
from w2stree.training.implicit_reward import is_right, side_logprobs
from w2stree.training.models import load_model
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

Floats = NDArray[np.float64]

HELD_OUT = "explore_held_out"
_GAPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_DEPTH = 6
_NUM_RESAMPLES = 2000


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
    configuration = read_json(run_dir / "config.json")
    threshold = configuration["evaluate"]["success_threshold"]
    stages = list(played) if played is not None else _played(run_dir, {before, after})
    runs = _held_out_runs(run_dir, stages)
    sources = {
        name: functools.partial(load_model, _finished(run_dir, name, "model") / "model")
        for name in dict.fromkeys((before, after, reference))
    }
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
        for name, scored in (("dense", runs), ("sparse", _sparse(runs, threshold)))
    }
    if not cells["suffix_dense"]:
        raise InvalidInput(
            f"{run_dir}: no two held-out runs of a task ({', '.join(stages)}) part by an action "
            "and differ in return, so there is no pair to rank; play more of them"
        )
    # All rows at once: they share most of what is read.
    together = [row for rows in cells.values() for row in rows]
    length = configuration["max_length"]
    logprobs = {m: side_logprobs(s, together, max_length=length) for m, s in sources.items()}
    if all(np.isnan(figure).all() for figure in logprobs.values()):
        raise InvalidInput(
            f"{run_dir}: all {len(together)} rows exceed the run's max_length ({length} tokens)"
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


def table(figures: Mapping[str, Any]) -> str:
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


def _cells(group: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (str(group["num_rows"]), str(group["num_tasks"]))
    if not group["num_rows"]:
        return (*counts, "", "", "")
    shown = []
    for name, sign in (("before", ""), ("after", ""), ("difference", "+")):
        low, high = group[name]["interval"]
        shown.append(f"{group[name]['mean']:{sign}.3f} ± {(high - low) / 2:.3f}")
    return (*counts, *shown)


def _played(run_dir: Path, measured: Collection[str]) -> list[str]:
    if (run_dir / HELD_OUT / MANIFEST).is_file():
        return [HELD_OUT]
    folders = sorted(folder.parent.name for folder in run_dir.glob(f"evaluate_*/{MANIFEST}"))
    methods = [folder.removeprefix("evaluate_") for folder in folders]
    # Random play is so unlikely to any model that a ratio of two of them says nothing of its turns.
    trained = [m for m in methods if (run_dir / m / MANIFEST).is_file()]
    return [f"evaluate_{method}" for method in trained if method not in measured]


def _held_out_runs(run_dir: Path, stages: Sequence[str]) -> list[Trajectory]:
    """Raises `InvalidInput` for a run of a task that was demonstrated or explored."""
    file = run_dir / "tasks" / TASKS_FILE
    parts = Parts.from_record(read_json(file), str(file))
    trained = {*parts.demonstrations.task_ids, *parts.explore.task_ids}
    runs = []
    for stage in stages:
        for run in read_trajectories(_finished(run_dir, stage, "stage") / "trajectories.jsonl"):
            if run.task_id in trained:
                raise InvalidInput(
                    f"{run_dir / stage}: {run.task_id} was demonstrated or explored, so its pairs "
                    f"are not held out; give stages of other tasks, as {HELD_OUT}"
                )
            if run.status != "error":
                runs.append(run)
    if not runs:
        raise InvalidInput(f"{run_dir}: no held-out runs ({', '.join(stages) or 'no stage'})")
    return runs


def _finished(run_dir: Path, stage: str, what: str) -> Path:
    """The folder of a stage that was named as such a `what`."""
    folder = run_dir / stage
    read_json(folder / MANIFEST, remedy=f"finish the stage {stage}, or name another {what}")
    return folder


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
        names = ("before", "after", "difference")
        return {
            "num_rows": len(read),
            "num_tasks": len(set(tasks)),
            **{n: _mean(column, tasks, seed) for n, column in zip(names, columns, strict=True)},
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
            return f"{low:g} to {high:g}"
    return f"above {_GAPS[-1]:g}"


def _depth(row: PreferenceRow) -> str:
    return str(row.begin) if row.begin < _MOST_DEPTH else f"{_MOST_DEPTH} and more"
