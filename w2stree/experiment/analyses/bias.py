"""How models play: which actions they take, which mistakes they make, how like the weak model.

                             unparsed  repeated  …    cut  succeeded  take …  …  from sft_weak
    sft_strong                   0.0%     20.5%  …  52.5%      47.5%   31.4%  …          0.050
    sft_weak                     0.0%     26.1%  …  49.5%      50.5%   33.0%  …          0.000
    tree_dpo                     0.0%     23.0%  …  50.5%      49.5%   32.1%  …          0.041
    tree_dpo - sft_strong       +0.0%     +2.5%  …  -2.0%      +2.0%   +0.7%  …         -0.009

Shares of turns, of episodes, and of turns by their verb, of a finished run's test episodes, the dev
panel's left out. The last column is the divergence of the model's bigrams of verbs from the weak
model's: what a strong model took over. A difference is of what came after a training and what there
was before it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from w2stree.errors import InvalidInput
from w2stree.experiment.analyses.analysis import Analysis, Figures
from w2stree.experiment.analyses.figures import in_columns, write_figures
from w2stree.experiment.analyses.finished_run import FinishedRun, finished_run
from w2stree.experiment.section import Section
from w2stree.percent import percent
from w2stree.shorten import visible
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

OF_TURNS = ("unparsed", "no_effect", "repeated", "unpaid_put", "lost")
OF_EPISODES = ("ended_early", "cut", "succeeded")
NGRAMS = (1, 2, 3)

_PUTS = ("put", "insert", "place", "move")
_SHOWN_NGRAMS = "2"
_MOST_VERBS = 6


class BiasSettings(Section):
    """Each is an argument of `bias`."""

    methods: Annotated[list[str], Field(min_length=1)]
    weak: str = "sft_weak"
    before: str = "sft_strong"
    verbs: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _of_the_methods(self) -> BiasSettings:
        for key in ("weak", "before"):
            if getattr(self, key) not in self.methods:
                raise ValueError(f"{key}: {getattr(self, key)} is not among the methods")
        return self


def bias(
    run_dir: Path,
    *,
    weak: str = "sft_weak",
    methods: Sequence[str] | None = None,
    before: str | None = None,
    verbs: Sequence[str] | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Figures of each method that a run has tested (`figures_of`), and how its n-grams of verbs
    diverge from the method `weak`'s (`divergence`), by n; JSON.

    `methods`: of these alone, in this order; of all, unless told. With `before`, a method, the
    table has it too, and the differences of the others to it. `verbs`: those that the table has a
    column for; unless told, the commonest of these methods' turns. Episodes that ended in an error
    are counted (`num_errors`) and left out. With `out`, a folder, `bias.json` and `bias.txt`
    (`table`) are written there. Raises `RunDirectoryError` for what the run lacks, `InvalidInput`
    where a method that is named was not tested, or finished no episode.
    """
    run = finished_run(run_dir)
    compared = list(dict.fromkeys(run.methods if methods is None else methods))
    if before is not None and before not in compared:
        compared = [before, *compared]
    played = {name: _test_episodes(run, name) for name in dict.fromkeys((weak, *compared))}
    ended = {name: [t for t in all_ if t.status != "error"] for name, all_ in played.items()}
    for name, runs in ended.items():
        if not runs:
            raise InvalidInput(
                f"{visible(str(run_dir))}: {name} finished no test episode: all "
                f"{len(played[name])} ended in an error; mend that, or name the other methods"
            )
    of_methods = {
        name: {
            "num_errors": len(played[name]) - len(ended[name]),
            **figures_of(ended[name], run.success_threshold),
            "divergence": {
                str(n): divergence(ngrams(ended[name], n), ngrams(ended[weak], n)) for n in NGRAMS
            },
        }
        for name in compared
    }
    found = {
        "weak": weak,
        "before": before,
        "success_threshold": run.success_threshold,
        "verbs": _commonest(of_methods.values()) if verbs is None else list(verbs),
        "methods": of_methods,
    }
    if out is not None:
        write_figures(out, "bias", found, table(found))
    return found


def _test_episodes(run: FinishedRun, method: str) -> Sequence[Trajectory]:
    """Of the test panels alone."""
    played = run.test_episodes(method)
    # A run of before there was the stage `tasks` had no dev panel either.
    dev = run.parts().dev if "tasks" in run.stages else None
    return played if dev is None else [t for t in played if t.task_id not in dev.openings]


def _commonest(methods: Iterable[Mapping[str, Any]]) -> list[str]:
    """Verbs, by their turns in all of the methods."""
    counts: Counter[str] = Counter()
    for found in methods:
        counts.update(found["verbs"])
    return [verb for verb, _ in counts.most_common(_MOST_VERBS)]


def figures_of(runs: Sequence[Trajectory], success_threshold: float) -> dict[str, Any]:
    """Counts of verbs, shares of mistakes among turns, and shares of endings among episodes.

    unparsed      no action was found in the turn
    no_effect     the environment answered as it had just before: refused, or nothing happened
    repeated      this action was answered so before, in this episode
    unpaid_put    a thing was put somewhere (put, insert, place, move) and nothing earned
    lost          the reward was below 0: what had been earned was undone
    ended_early   the environment ended the episode short of success
    cut           a limit of steps or of length ended it

    Rewards that a run does not know count as none known: `unpaid_put` and `lost` are then None.
    """
    steps = [step for run in runs for step in run.steps]
    is_paid = any(step.reward is not None for step in steps)
    counts = Counter(mistake for run in runs for mistake in _mistakes(run))
    shares: dict[str, Any] = {name: counts[name] / max(1, len(steps)) for name in OF_TURNS}
    if not is_paid:
        shares |= {"unpaid_put": None, "lost": None}
    succeeded = [at_least(run.total_return, success_threshold) for run in runs]
    done = [run.status == "done" for run in runs]
    endings = {
        "ended_early": sum(d and not s for d, s in zip(done, succeeded, strict=True)),
        "cut": done.count(False),
        "succeeded": sum(succeeded),
    }
    return {
        "num_episodes": len(runs),
        "num_turns": len(steps),
        "verbs": dict(Counter(_verb(step.action) for step in steps).most_common()),
        "turns": shares,
        "episodes": {name: count / len(runs) for name, count in endings.items()},
    }


def ngrams(runs: Iterable[Trajectory], n: int) -> Counter[tuple[str, ...]]:
    """Of verbs, the first words of actions; each episode begins and ends with a mark."""
    found: Counter[tuple[str, ...]] = Counter()
    for run in runs:
        verbs = [_verb(step.action) for step in run.steps]
        if n > 1:
            verbs = ["<begin>", *verbs, "<end>"]
        found.update(tuple(verbs[i : i + n]) for i in range(len(verbs) - n + 1))
    return found


def divergence(one: Mapping[Any, int], other: Mapping[Any, int]) -> float:
    """Jensen–Shannon divergence in bits (Lin 1991): 0 for equal shares, 1 for nothing in common.

    Of counts: two samples of one distribution are some way apart, the more so the rarer their
    n-grams. None of anything is 0 from nothing.
    """
    total, other_total = sum(one.values()), sum(other.values())
    if not total or not other_total:
        return float(bool(total) != bool(other_total))
    found = 0.0
    for key in {**one, **other}:
        p, q = one.get(key, 0) / total, other.get(key, 0) / other_total
        found += sum(x / 2 * math.log2(2 * x / (p + q)) for x in (p, q) if x)
    return max(0.0, found)


def table(figures: Figures) -> str:
    """The same in words: a line a method, then a line a difference, in points of a hundred."""
    lines = [("", *_columns(figures))]
    for row, values in numbers(figures).items():
        is_difference = " - " in row
        *shares, apart = values.values()
        shown = ["" if v is None else f"{v:+.1%}" if is_difference else percent(v) for v in shares]
        sign = "+" if is_difference else ""
        lines.append((row, *shown, "" if apart is None else f"{apart:{sign}.3f}"))
    errors = [
        f"{name} {found['num_errors']}"
        for name, found in figures["methods"].items()
        if found["num_errors"]
    ]
    left_out = f"\nLeft out, as they ended in an error: {', '.join(errors)}.\n" if errors else ""
    return in_columns(lines) + left_out


def numbers(figures: Figures) -> dict[str, dict[str, float | None]]:
    """The rows of `table`: of each method the shares and the divergence of verb bigrams, then of
    each but `before` the difference to that one."""
    columns, methods = _columns(figures), figures["methods"]
    rows: dict[str, dict[str, float | None]] = {}
    for method, found in methods.items():
        shares = {**found["turns"], **found["episodes"]}
        said = [found["verbs"].get(v, 0) / max(1, found["num_turns"]) for v in figures["verbs"]]
        values = (*shares.values(), *said, found["divergence"][_SHOWN_NGRAMS])
        rows[method] = dict(zip(columns, values, strict=True))
    before = figures["before"]
    if before is not None:
        first = rows[before]
        rows |= {
            f"{method} - {before}": {c: _difference(rows[method][c], first[c]) for c in columns}
            for method in methods
            if method != before
        }
    return rows


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _columns(figures: Figures) -> tuple[str, ...]:
    names = (name.replace("_", " ") for name in (*OF_TURNS, *OF_EPISODES))
    said = (f"{visible(verb)} …" for verb in figures["verbs"])
    return (*names, *said, f"from {figures['weak']}")


def _mistakes(run: Trajectory) -> Iterator[str]:
    before: str | None = run.prompt[-1].content if run.prompt else None
    seen: set[tuple[str, str]] = set()
    for step in run.steps:
        if not step.action:
            yield "unparsed"
        elif step.observation == before:
            yield "no_effect"
        if step.action and (step.action, step.observation) in seen:
            yield "repeated"
        seen.add((step.action, step.observation))
        if _verb(step.action) in _PUTS and step.reward is not None and step.reward <= 0:
            yield "unpaid_put"
        if step.reward is not None and step.reward < 0:
            yield "lost"
        before = step.observation


def _verb(action: str) -> str:
    """The first word; WebShop's `click[…]` is `click`."""
    words = action.replace("[", " ").split()
    return words[0].lower() if words else "<none>"


ANALYSIS = Analysis(
    name="bias",
    question="Which actions and mistakes do models make, and how like the weak model do they play?",
    settings=BiasSettings,
    stages=lambda settings: tuple(f"evaluate_{method}" for method in settings.methods),
    measure=bias,
    table=table,
    numbers=numbers,
)
