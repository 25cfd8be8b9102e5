"""Is the action why? Of the contrasts that a forest asserts, how many measuring bears out.

                      contrasts  confirmed  reversed  undecided  by chance     gap  measured
    gap 0.25 to 0.50         42      16.7%      0.0%      83.3%       0.7%  +0.264    +0.072

`by chance` is the floor: how often the same looks at these very differences would have found
one side better, were their signs coins; half of it in each direction. It is exact, and below
`alpha` where many differences are 0. A contrast that was decided early counts with the looks it
had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.analyses.analysis import Analysis, Figures
from w2stree.experiment.analyses.figures import in_columns, write_figures
from w2stree.experiment.analyses.finished_run import finished_run
from w2stree.experiment.run_json import read_json
from w2stree.experiment.section import Section
from w2stree.percent import percent
from w2stree.rollouts.continuations import Measured, Verdict
from w2stree.rollouts.paired_looks import PairedLooks
from w2stree.shorten import visible
from w2stree.trajectories.returns import at_least

FIGURES_FILE = "divergence_cause.json"
TABLE_FILE = "divergence_cause.txt"
STAGE = "continuations"

_Group = Callable[[Measured], str]

_GAPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_DEPTH, _MOST_SUPPORT = 6, 3

_KEYS = {"alpha", "looks", "all", "by_gap", "by_depth", "by_support"}

_COLUMNS = {
    "contrasts": "num_contrasts",
    "confirmed": "confirmed_share",
    "reversed": "reversed_share",
    "undecided": "undecided_share",
    "by chance": "by_chance_share",
    "gap": "mean_gap",
    "measured": "mean_difference",
}
"""Of the table, with the figure that each shows."""


class DivergenceCauseSettings(Section):
    """None: the stage's are `continuations` of the configuration."""


def read_divergence_cause(run_dir: Path, *, out: Path | None = None) -> dict[str, Any]:
    """The figures of a finished run's stage `continuations`; with `out`, a folder, they are written
    there too, with their table. Raises `RunDirectoryError` where the run has none."""
    run = finished_run(run_dir)
    if STAGE not in run.stages:
        raise RunDirectoryError(
            f"{visible(str(run_dir))}: the stage {STAGE} has not finished, so no cause was "
            "measured; run a configuration with a method that needs it (verified_dpo) there, or "
            "the experiment divergence_cause"
        )
    file = run.path / STAGE / FIGURES_FILE
    found = read_json(file)
    if not isinstance(found, dict) or not found.keys() >= _KEYS:
        raise RunDirectoryError(
            f"{visible(str(file))}: not the figures of the stage {STAGE}; put it back from a copy, "
            f"or redo the stage with --force {STAGE}"
        )
    if out is not None:
        write_figures(out, Path(FIGURES_FILE).stem, found, table(found))
    return found


def divergence_cause(measured: Sequence[Measured], looks: PairedLooks) -> dict[str, Any]:
    """JSON: of all contrasts, and by gap, by depth and by support (runs behind the weaker side):
    how many have each verdict, their shares of those that were finished, the floor, and the
    mean difference measured beside the mean gap asserted. Raises `InvalidInput` for none."""
    if not measured:
        raise InvalidInput("no contrast was measured: the budget ended before the first")
    floors = [looks.false_alarms(m.differences) if m.look else 0.0 for m in measured]
    counted = list(zip(measured, floors, strict=True))
    groups: dict[str, _Group] = {"gap": _gap, "depth": _depth, "support": _support}
    return {
        "alpha": looks.alpha,
        "looks": list(looks.looks),
        "all": _figures(counted),
        **{f"by_{name}": _grouped(counted, group) for name, group in groups.items()},
    }


def table(figures: Figures) -> str:
    """The same in words."""
    lines = [("", *_COLUMNS), ("all", *_cells(figures["all"]))]
    for name in ("gap", "depth", "support"):
        lines += [
            (f"{name} {group}", *_cells(found)) for group, found in figures[f"by_{name}"].items()
        ]
    looks = ", ".join(map(str, figures["looks"]))
    note = (
        f"\nShares are of finished contrasts (looks at {looks}; alpha {figures['alpha']:g}). By "
        "chance: found better\nin either direction, were the signs of these differences coins. "
        "gap: asserted by the runs;\nmeasured: mean difference of continuations.\n"
    )
    return in_columns(lines) + note


def numbers(figures: Figures) -> dict[str, dict[str, float | None]]:
    """The rows of `table`, every group of them also where no contrast is in it."""
    gaps = [_gap_named(i) for i in range(len(_GAPS) - 1)]
    depths = [_capped(depth, _MOST_DEPTH) for depth in range(_MOST_DEPTH + 1)]
    supports = [_capped(support, _MOST_SUPPORT) for support in range(1, _MOST_SUPPORT + 1)]
    rows = {"all": figures["all"]}
    for name, groups in (("gap", gaps), ("depth", depths), ("support", supports)):
        rows |= {f"{name} {group}": figures[f"by_{name}"].get(group, {}) for group in groups}
    return {
        row: {column: found.get(key) for column, key in _COLUMNS.items()}
        for row, found in rows.items()
    }


def _grouped(counted: Sequence[tuple[Measured, float]], group: _Group) -> dict[str, Any]:
    names = sorted({group(measured) for measured, _ in counted})
    return {name: _figures([one for one in counted if group(one[0]) == name]) for name in names}


def _figures(counted: Sequence[tuple[Measured, float]]) -> dict[str, Any]:
    verdicts = Counter(measured.verdict for measured, _ in counted)
    ended = [(m, floor) for m, floor in counted if m.verdict != "unfinished"]
    shares = {
        f"{verdict}_share": verdicts[verdict] / len(ended) if ended else None
        for verdict in ("confirmed", "reversed", "undecided")
    }
    return {
        "num_contrasts": len(counted),
        **{f"num_{verdict}": verdicts[verdict] for verdict in get_args(Verdict)},
        **shares,
        "by_chance_share": _mean(floor for _, floor in ended),
        "mean_gap": _mean(m.contrast.gap for m, _ in ended),
        "mean_difference": _mean(m.look.mean for m, _ in ended if m.look),
        "mean_continuations": _mean(float(len(m.differences)) for m, _ in ended),
    }


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def _cells(found: dict[str, Any]) -> list[str]:
    shares = ("confirmed_share", "reversed_share", "undecided_share", "by_chance_share")
    return [
        str(found["num_contrasts"]),
        *("-" if found[key] is None else percent(found[key]) for key in shares),
        *(
            "-" if found[key] is None else f"{found[key]:+.3f}"
            for key in ("mean_gap", "mean_difference")
        ),
    ]


def _gap(measured: Measured) -> str:
    """The quarter that it is in, its upper end not in it but for the last."""
    return _gap_named(sum(at_least(measured.contrast.gap, low) for low in _GAPS[1:-1]))


def _gap_named(i: int) -> str:
    return f"{_GAPS[i]:.2f} to {_GAPS[i + 1]:.2f}"


def _depth(measured: Measured) -> str:
    return _capped(measured.contrast.depth, _MOST_DEPTH)


def _support(measured: Measured) -> str:
    return _capped(measured.contrast.support, _MOST_SUPPORT)


def _capped(value: int, most: int) -> str:
    return str(value) if value < most else f"{most}+"


ANALYSIS = Analysis(
    name="divergence_cause",
    question="Of the contrasts that a forest asserts, how many does playing on from both bear out?",
    settings=DivergenceCauseSettings,
    stages=lambda settings: (STAGE,),
    measure=read_divergence_cause,
    table=table,
    numbers=numbers,
    counts=("contrasts",),
)
