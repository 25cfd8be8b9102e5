"""How models play: which actions they take, which mistakes they make, how like the weak model.

                unparsed  no effect  repeated  unpaid put   lost  …    cut  succeeded  from sft_weak
    sft_strong      0.0%       0.0%     20.5%       13.6%  19.2%  …  52.5%      47.5%          0.050
    sft_weak        0.0%       0.0%     26.1%       12.2%  21.6%  …  49.5%      50.5%          0.000

Shares of turns, then of episodes, of a finished run's test episodes. The last column is the
divergence of the model's bigrams of verbs from the weak model's: what a strong model took over.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.experiment.figures import in_columns, write_figures
from w2stree.experiment.hashes import MANIFEST
from w2stree.experiment.run_json import read_json
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

OF_TURNS = ("unparsed", "no_effect", "repeated", "unpaid_put", "lost")
OF_EPISODES = ("ended_early", "cut", "succeeded")
NGRAMS = (1, 2, 3)

_PUTS = ("put", "insert", "place", "move")


def bias(run_dir: Path, *, weak: str = "sft_weak", out: Path | None = None) -> dict[str, Any]:
    """Figures of each method that a run has tested (`figures_of`), and how its n-grams of verbs
    diverge from the method `weak`'s (`divergence`), by n; JSON.

    With `out`, a folder, `bias.json` and `bias.txt` (`table`) are written there. Raises
    `RunDirectoryError` for what the run lacks, `InvalidInput` where `weak` was not tested.
    """
    threshold = read_json(run_dir / "config.json")["evaluate"]["success_threshold"]
    played = {
        folder.parent.name.removeprefix("evaluate_"): [
            run
            for run in read_trajectories(folder.parent / "trajectories.jsonl")
            if run.status != "error"
        ]
        for folder in sorted(run_dir.glob(f"evaluate_*/{MANIFEST}"))
    }
    if not played.get(weak):
        raise InvalidInput(
            f"{run_dir}: {weak} has no test episodes, so there is nothing to compare with; it has "
            f"those of {', '.join(played) or 'no method'}"
        )
    methods = {
        name: {
            **figures_of(runs, threshold),
            "divergence": {
                str(n): divergence(ngrams(runs, n), ngrams(played[weak], n)) for n in NGRAMS
            },
        }
        for name, runs in played.items()
        if runs
    }
    found = {"weak": weak, "success_threshold": threshold, "methods": methods}
    if out is not None:
        write_figures(out, "bias", found, table(found))
    return found


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


def table(figures: Mapping[str, Any]) -> str:
    """The same in words, a line a method."""
    names = [*(name.replace("_", " ") for name in (*OF_TURNS, *OF_EPISODES))]
    lines = [("", *names, f"from {figures['weak']}")]
    for method, found in figures["methods"].items():
        shares = {**found["turns"], **found["episodes"]}
        shown = ["" if v is None else f"{v:.1%}" for v in shares.values()]
        lines.append((method, *shown, f"{found['divergence']['2']:.3f}"))
    return in_columns(lines)


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
