"""What a report says, whatever its format: its data, its numbers as text, its sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from w2stree.errors import InvalidInput
from w2stree.evaluation import Estimate, MethodResult
from w2stree.percent import percent as plain_percent
from w2stree.report.evidence import Advice, Evidence
from w2stree.report.terms import FOREST_TERMS, Term
from w2stree.shorten import visible

MINUS, DASH, _SPACE = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"

Verdict = Literal["gains", "no difference shown", "loses", "too few to tell"]

FEWEST_TASKS = 30
"""With fewer test tasks a bootstrap's interval is not to be relied on: no verdict."""


@dataclass(frozen=True, slots=True)
class ShownTree:
    """One task's tree as text, with what a reader needs to know about the task."""

    task_id: str
    statement: str
    caption: str
    node: int
    """Its root, in the view."""
    text: str


@dataclass(frozen=True, slots=True)
class MethodText:
    """A method for a reader: its name, what it is in a clause, whether the report is about it."""

    label: str
    explanation: str
    is_tested: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One kind of test tasks, a column of the table: its name, its fold, a row for each method."""

    name: str
    split: str
    rows: Sequence[MethodResult]

    @property
    def num_tasks(self) -> int:
        return self.rows[0].num_tasks if self.rows else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that the report's files are made from: it knows no method and no environment itself.

    Raises `InvalidInput` for a row whose method has no text, and unless there is a panel.
    """

    title: str
    settings: Sequence[str]
    """The figures that say at a glance which experiment this is."""
    environment: str
    """What was played, for the middle of a sentence: "the text game twc"."""
    noun: str
    """One word for it, to follow "the": "game"."""
    methods: Mapping[str, MethodText]
    weak: str
    """The method that the table is measured from; the stage of this name trained it."""
    strong: str
    """Its counterpart: the strong model before it learned from the weak one's runs."""
    ceiling: str | None
    """The method that PGR measures up to; None where none was trained, and rows have no PGR."""
    config: Mapping[str, Any]
    """As JSON-ready values."""
    tasks: Mapping[str, Mapping[str, int]]
    """By part of the run, under its key in the configuration: `num_tasks`; `num_repeated`, how
    many opened as a task that was taken before; `num_shared`, how many of its tasks open as another
    task of the run does (none, unless `tasks.distinct` is false)."""
    num_demonstrations: int
    """How many were shown: fewer than were asked for where the expert does not finish a task."""
    panels: Sequence[Panel]
    forest: Mapping[str, Any]
    """Forest statistics by name, see `FOREST_TERMS`."""
    stages: Sequence[Mapping[str, Any]]
    """stage, seconds, peak_memory_mb and metrics of each finished stage, in order."""
    versions: Mapping[str, str]
    trees: Sequence[ShownTree] = ()
    """Those that show most."""
    view: bytes | None = None
    """Of all trees, for a frame of the page (`w2stree.viewer.view.framed`); None where there is
    too much of them for a page."""
    view_command: str = ""
    """What writes that view to a file of its own."""
    evidence: Evidence = field(default_factory=Evidence)
    advice: Sequence[Advice] = ()
    dev: Panel | None = None
    """What settings are chosen by: in report.json alone."""

    def __post_init__(self) -> None:
        if not self.panels:
            raise InvalidInput("panels is empty; a report is about at least one")
        panels = [*self.panels, *([] if self.dev is None else [self.dev])]
        for row in (row for panel in panels for row in panel.rows):
            if row.method not in self.methods:
                raise InvalidInput(
                    f"rows has the method {row.method!r}, methods has no text for it; it has "
                    f"{', '.join(map(repr, self.methods)) or 'none'}"
                )


def number(value: float | None) -> str:
    """Three decimals; a dash where undefined."""
    return DASH if value is None else f"{round(value, 3) + 0.0:.3f}".replace("-", MINUS)


def signed(value: float) -> str:
    """Three decimals with their sign, none at zero."""
    return number(value) if round(value, 3) <= 0 else f"+{number(value)}"


def percent(value: float | None) -> str:
    """A share with one decimal; a dash where undefined."""
    if value is None:
        return DASH
    return plain_percent(value).replace("%", f"{_SPACE}%").replace("-", MINUS)


def interval(ci95: tuple[float, float], *, is_signed: bool = False) -> str:
    """[low, high] in the format of its estimate."""
    low, high = (signed(end) if is_signed else number(end) for end in ci95)
    return f"[{low}, {high}]"


def term_value(term: Term, value: float) -> str:
    """A forest statistic as text."""
    if term.kind == "count":
        return f"{value:,.0f}"
    if term.kind == "share":
        return percent(value)
    return f"{value:.2f}" if term.kind == "mean" else number(value)


def verdict(difference: Estimate, num_tasks: int) -> Verdict:
    """What a paired interval over so many tasks allows to say; touching zero includes it.

    Nothing below `FEWEST_TASKS`, and nothing where the interval has no width: there all tasks'
    differences are the same, and resampling them shows no luck.
    """
    low, high = difference.ci95
    if num_tasks < FEWEST_TASKS or not low < high:
        return "too few to tell"
    if low > 0:
        return "gains"
    return "loses" if high < 0 else "no difference shown"


def tested(report: Report, panel: Panel) -> list[MethodResult]:
    """The rows of the methods that the report is about."""
    return [row for row in panel.rows if report.methods[row.method].is_tested]


def verdict_sentence(report: Report, row: MethodResult) -> str:
    """Whether a method gains over the weak and over the strong model, by their intervals."""
    others = {"weak": row.differences[report.weak], "strong": row.differences[report.strong]}
    against = [_comparison(by, other, row.num_tasks) for other, by in others.items()]
    return f"{report.methods[row.method].label} {against[0]}; it {against[1]}."


def _comparison(difference: Estimate, other: str, num_tasks: int) -> str:
    figures = f"{signed(difference.mean)} {interval(difference.ci95, is_signed=True)}"
    return {
        "gains": f"gains over the {other} model ({figures}, above zero)",
        "loses": f"loses to the {other} model ({figures}, below zero)",
        "no difference shown": f"shows no difference to the {other} model "
        f"({figures}, zero included)",
        "too few to tell": f"has played too few tasks to tell it from the {other} model "
        f"({figures}, {num_tasks} tasks)"
        if num_tasks < FEWEST_TASKS
        else f"cannot be told from the {other} model ({figures}, the same in each of {num_tasks} "
        "tasks)",
    }[verdict(difference, num_tasks)]


def panel_title(report: Report, panel: Panel) -> str:
    """What is tested there: "new_tasks: 150 tasks of the train fold"."""
    return f"{panel.name}: {panel.num_tasks} tasks of the {panel.split} fold"


def introduction(report: Report) -> list[str]:
    """What was done, in three sentences."""
    config = report.config
    tasks = config["tasks"]
    weak, strong = _size(report, report.weak), _size(report, report.strong)
    expert = "" if config.get("demonstrations") else "expert "
    distinct = ", none of which opens as another task of the run does" * tasks["distinct"]
    return [
        f"A weak model{weak} learned {report.environment} from "
        f"{report.num_demonstrations} {expert}demonstrations{_explored(report)}.",
        f"{_whose(report)} runs, failures included, were merged into one tree a "
        f"task{_taught(report, strong)}.",
        f"Every model then played the same {_test_tasks(report)}{distinct}, once each and without "
        f"sampling; the average reward is the mean of the {report.noun}'s final scores, from 0 to "
        "1.",
    ]


def _explored(report: Report) -> str:
    """How the introduction's first sentence goes on where the weak model explored."""
    explore, num_tasks = report.config["explore"], report.config["tasks"]["explore"]
    if explore.get("trajectories"):
        return ""
    return (
        f" and then played {num_tasks} other tasks {len(explore['samplings'])} times each, without "
        "demonstrations and with different sampling"
    )


def _whose(report: Report) -> str:
    """Whose runs the trees are of."""
    given = report.config["explore"].get("trajectories")
    if not given:
        return "Its"
    num_tasks = report.tasks["tasks.explore"]["num_tasks"]
    return f"{visible(Path(given).name)} has runs of {num_tasks} tasks, played before; these"


def _test_tasks(report: Report) -> str:
    """The test tasks in the middle of a sentence."""
    if len(report.panels) == 1:
        (panel,) = report.panels
        return f"{panel.num_tasks} tasks of the {panel.split} fold"
    return f"test tasks ({'; '.join(panel_title(report, panel) for panel in report.panels)})"


def _taught(report: Report, size: str) -> str:
    """How the introduction goes on where a method was tested."""
    labels = [report.methods[row.method].label for row in tested(report, report.panels[0])]
    if not labels:
        return ""
    ways = "" if len(labels) == 1 else f" in {_counted(len(labels))} ways"
    listed = " and ".join([*([", ".join(labels[:-1])] if labels[1:] else []), labels[-1]])
    return f", and a strong model{size} learned from them{ways}: {listed}"


def chart_note(report: Report) -> str:
    """How the charts are read."""
    num_tested = len(tested(report, report.panels[0]))
    methods = "method" if num_tested == 1 else f"{_counted(num_tested)} methods"
    return "Whiskers: 95 % intervals." + (f" Blue: the {methods} under test." if num_tested else "")


def _counted(count: int) -> str:
    words = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[count - 2] if 2 <= count < 10 else str(count)


def _size(report: Report, stage: str) -> str:
    for record in report.stages:
        if record["stage"] == stage and "num_parameters" in record["metrics"]:
            return f" ({record['metrics']['num_parameters'] / 1e6:.2g} million parameters)"
    return ""


def tokens_per_s(metrics: Mapping[str, Any]) -> float | None:
    """A stage's speed, generating or training; None if it does neither."""
    value = finite(metrics.get("generated_tokens_per_s", metrics.get("tokens_per_s")))
    return None if value is None else float(value)


def forest_terms(report: Report) -> list[tuple[Term, str]]:
    """The statistics that the forest has, in order, as text; no line about absent errors."""
    forest = finite(report.forest)
    return [
        (term, term_value(term, forest[term.key]))
        for term in FOREST_TERMS
        if forest.get(term.key) is not None and (term.key != "num_errors" or forest[term.key])
    ]


def stage_metrics(report: Report) -> dict[str, Any]:
    """What each stage recorded, by stage."""
    return {stage["stage"]: stage["metrics"] for stage in report.stages}


def finite(value: Any) -> Any:
    """The value with None for every number in it that JSON cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
