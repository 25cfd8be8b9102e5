"""What a table does not say: a line for each thing that its reader should know of."""

from __future__ import annotations

from collections.abc import Mapping

from w2stree.report.text import (
    FEWEST_TASKS,
    MINUS,
    Panel,
    Report,
    interval,
    signed,
    stage_metrics,
    verdict,
)


def seeds_in_words(seed: int, seeds: Mapping[str, int]) -> str:
    """As `seed 1 (pretrain and explore: 0)`: what several runs may share has a seed of its own."""
    stages: dict[int, list[str]] = {}
    for stage, own in seeds.items():
        if own != seed:
            stages.setdefault(own, []).append(stage)
    others = "; ".join(f"{' and '.join(names)}: {own}" for own, names in stages.items())
    return f"seed {seed} ({others})" if others else f"seed {seed}"


def caveats(report: Report) -> list[str]:
    """What the table does not say."""
    config = report.config
    lines = [
        "Intervals are 95 % percentile bootstraps over test tasks. They do not cover the luck "
        "of training: every model was trained once, with "
        f"{seeds_in_words(config['seed'], config.get('seeds', {}))}.",
        "PGR, the performance gap recovered, needs a ceiling: none was trained."
        if report.ceiling is None
        else "The ceiling is a reference, not a bound; PGR, the performance gap recovered, is "
        f"(method {MINUS} weak) / (ceiling {MINUS} weak).",
    ]
    if config["decoding"]["actions"] == "admissible":
        lines.append(
            "Every method chooses among the actions the environment would accept "
            "(decoding.actions: admissible)."
        )
    drawn = [part for name, part in report.tasks.items() if name.startswith("tasks.")]
    num_repeated = sum(part["num_repeated"] for part in drawn)
    if num_repeated and config["tasks"]["distinct"]:
        lines.append(
            f"Tasks that open alike count as one, whatever their number: {num_repeated} of those "
            "drawn repeat another and were passed over."
        )
    lines += _left_out(report)
    lines += _as_it_went(report)
    for panel in report.panels:
        where = "" if len(report.panels) == 1 else f"{panel.name}: "
        lines += [f"{where}{line}" for line in _caveats_of(report, panel)]
    return lines


def _caveats_of(report: Report, panel: Panel) -> list[str]:
    lines = []
    if report.ceiling is not None:
        lines += _of_the_gap(report, panel)
    if panel.num_tasks < FEWEST_TASKS:
        lines.append(
            f"{panel.num_tasks} test tasks are too few for a verdict, which needs {FEWEST_TASKS}."
        )
    num_shared = report.tasks.get(f"tasks.test.{panel.name}", {}).get("num_shared", 0)
    if num_shared:
        lines.append(
            f"{num_shared} of the {panel.num_tasks} test tasks open as another task of the run "
            "does (tasks.distinct: false): they may have been seen."
        )
    if panel.split == "dev":
        lines.append(
            "These are tasks of the dev fold, on which choices are made: final figures need "
            "another fold."
        )
    elif panel.split == "train":
        lines.append(
            "The test tasks are of the train fold: new tasks of things that training tasks have "
            f"too, not the {report.noun}'s own test fold."
        )
    for row in panel.rows:
        if row.num_errors:
            label = report.methods[row.method].label
            lines.append(
                f"{row.num_errors} episodes of {label} ended in an error and are not "
                "scored; a task without a finished episode counts 0."
            )
    return lines


def _of_the_gap(report: Report, panel: Panel) -> list[str]:
    """What PGR divides by, where that is nothing or not shown to be something."""
    if any(row.pgr is None for row in panel.rows):
        return ["PGR is undefined here: the ceiling's reward is not above the weak model's."]
    gaps = [row.differences[report.weak] for row in panel.rows if row.method == report.ceiling]
    return [
        f"PGR is a share of a gap that is not shown to be one: the ceiling {MINUS} weak is "
        f"{signed(gap.mean)} {interval(gap.ci95, is_signed=True)} over {panel.num_tasks} tasks."
        for gap in gaps
        if verdict(gap, panel.num_tasks) != "gains"
    ]


def _as_it_went(report: Report) -> list[str]:
    """Episodes that the model's length ended, and turns that nobody could play."""
    lines = []
    for stage, metrics in stage_metrics(report).items():
        if metrics.get("num_cut_short"):
            lines.append(
                f"{metrics['num_cut_short']} of the {metrics['num_trajectories']} episodes of "
                f"{stage} were cut short where the model could read no further; they are scored "
                "as they stood."
            )
        if metrics.get("num_unparsed"):
            lines.append(
                f"{metrics['num_unparsed']} of the {metrics['num_steps']} turns of {stage} had no "
                "action."
            )
    return lines


def _left_out(report: Report) -> list[str]:
    """What stages did not learn from, since it is too long."""
    lines = []
    for stage in report.stages:
        metrics = stage["metrics"]
        if not metrics.get("num_too_long"):
            continue
        what, which = "preference rows", ""
        if "num_too_long_failures" in metrics:
            what = "trajectories"
            which = f", {metrics['num_too_long_failures']:.0f} of them failures"
        lines.append(
            f"{stage['stage']} was trained without {metrics['num_too_long']:.0f} {what} of more "
            f"than max_length ({report.config['max_length']}) tokens{which}."
        )
    return lines
