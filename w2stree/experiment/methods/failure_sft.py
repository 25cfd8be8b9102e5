"""Failure SFT: the strong SFT model imitates the weak one's runs, failed ones without their harmful
steps.

    failed run    look   take cup   put cup in fridge   take cup   put cup in shelf
    learned        -       yes             -               -             yes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.best_of_m import best_runs
from w2stree.experiment.methods.method import Explored, Imitated, Method
from w2stree.experiment.section import Fraction, Positive, Section
from w2stree.forest.forest import Forest
from w2stree.rows.harmful import Harm, harmful_steps
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class FailureSftSection(Section):
    """Which runs, of at least `min_return`, and which steps of those that failed.

    `runs`: the `best` of each task (ties to the first), the `distinct` (the first of those that
    end at one node), or `all`. `mask`: `tree` leaves out the steps that `harm` finds, `replay`
    those without which the run is as good when it is played (`needed_steps`, with at most
    `replay_budget` environment steps a run), `none` leaves out no step. Runs that succeeded are
    learned whole, and so are the demonstrations.
    """

    runs: Literal["best", "distinct", "all"] = "best"
    min_return: Fraction = 0.0
    mask: Literal["tree", "replay", "none"] = "tree"
    harm: Harm = Harm()
    replay_budget: Positive = 2000
    with_demonstrations: bool = True
    optimisation: Optimisation


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run, whether it failed, and which of its steps are learned."""

    run: Trajectory
    is_failure: bool
    learned: list[bool]


def train(
    *,
    forest: Forest,
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: FailureSftSection,
    fitting: Fitting,
    needed: Mapping[int, Sequence[bool]] | None = None,
) -> Trained:
    """Trains the strong SFT model (`start`) on the shown runs' learned steps, and with
    `with_demonstrations` on the demonstrations. For the figures see `describe`. `needed`: with
    `mask: replay` the steps that are, by a failed run's place in the forest.

    Raises `InvalidInput` if `min_return` leaves no run, nothing fits the length, or no turn
    has an action.
    """
    shown = shown_runs(forest, section, fitting.success_threshold, needed)
    if not shown:
        raise InvalidInput(
            f"failure_sft.min_return {section.min_return} leaves none of "
            f"{len(forest.trajectories)} runs; lower it"
        )
    others = demonstrations if section.with_demonstrations else ()
    trained = fitting.sft(
        start(),
        [*(s.run for s in shown), *others],
        section.optimisation,
        learned=[*(s.learned for s in shown), *([True] * len(t.steps) for t in others)],
    )
    return replace(trained, metrics={**figures(shown), **trained.metrics})


def describe(explored: Explored, *, section: FailureSftSection, seed: int) -> Mapping[str, float]:
    """`num_shown_successes` and `num_shown_failures`: the runs that `train` would show; of the
    failures `num_learned_failed_steps` are learned and `num_masked_failed_steps` masked. With
    `mask: replay` the masks are in no forest: the training's own figures have these two."""
    found = figures(shown_runs(explored.forest, section, explored.success_threshold))
    if section.mask == "replay":
        del found["num_learned_failed_steps"], found["num_masked_failed_steps"]
    return found


def imitated(
    *,
    forest: Forest,
    section: FailureSftSection,
    success_threshold: float,
    needed: Mapping[int, Sequence[bool]] | None = None,
    **others: Any,
) -> Sequence[Imitated]:
    shown = shown_runs(forest, section, success_threshold, needed)
    return [Imitated(s.run, s.learned.count(True)) for s in shown]


def figures(shown: Sequence[ShownRun]) -> dict[str, float]:
    failures = [s for s in shown if s.is_failure]
    return {
        "num_shown_successes": len(shown) - len(failures),
        "num_shown_failures": len(failures),
        "num_learned_failed_steps": sum(s.learned.count(True) for s in failures),
        "num_masked_failed_steps": sum(s.learned.count(False) for s in failures),
    }


def chosen_failures(
    forest: Forest, section: FailureSftSection, success_threshold: float
) -> list[int]:
    """The places of the failed runs that are shown."""
    runs = forest.trajectories
    return [
        i
        for i in _chosen(forest, list(runs), section.runs)
        if at_least(runs[i].total_return, section.min_return)
        and not at_least(runs[i].total_return, success_threshold)
    ]


def shown_runs(
    forest: Forest,
    section: FailureSftSection,
    success_threshold: float,
    needed: Mapping[int, Sequence[bool]] | None = None,
) -> list[ShownRun]:
    """The runs that are shown, in the forest's order."""
    runs = list(forest.trajectories)
    harmful = harmful_steps(forest, section.harm) if section.mask == "tree" else None
    found = []
    for i in _chosen(forest, runs, section.runs):
        run = runs[i]
        if not at_least(run.total_return, section.min_return):
            continue
        is_failure = not at_least(run.total_return, success_threshold)
        learned = [True] * len(run.steps)
        if is_failure and harmful is not None:
            learned = [not is_masked for is_masked in harmful[i]]
        elif is_failure and needed is not None:
            learned = list(needed[i])
        found.append(ShownRun(run, is_failure, learned))
    return found


def _chosen(forest: Forest, runs: Sequence[Trajectory], which: str) -> list[int]:
    if which == "best":
        index = {id(run): i for i, run in enumerate(runs)}
        return sorted(index[id(run)] for run in best_runs(runs))
    if which == "distinct":
        first: dict[int, int] = {}
        for i, end in enumerate(forest.end_node.tolist()):
            first.setdefault(end, i)
        return sorted(first.values())
    return list(range(len(runs)))


METHOD = Method(
    name="failure_sft",
    label="Strong + masked failures",
    explanation="then fine-tuned on the runs, failed ones without the steps that harmed",
    is_tested=True,
    section=FailureSftSection,
    needs={
        "forest": "forest",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    needs_too=lambda section: {"needed": "replayed_masks"} if section.mask == "replay" else {},
    train=train,
    describe=describe,
    imitated=imitated,
)
