"""Recombined SFT: the strong SFT model imitates paths that a task's runs were made into.

A tree's best path is one run. These are searched in the environment along the runs, failed ones
too: what one did right is done where another one had come. A path may as well be one run without
some of its steps, with `recombine.actions: all` it may hold actions that no run took, and where a
run cannot be bettered it is that run (`num_combined`, `num_shortened`, `num_extended` of `train`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.imitation import PathSection, imitate
from w2stree.experiment.methods.method import Imitated, Method, whole
from w2stree.rollouts.recombination.paths import Recombined
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class RecombinedSftSection(PathSection):
    """Recombined paths of at least `min_return`, by default of every task; with the demonstrations
    or without."""


def train(
    *,
    recombined: Sequence[Recombined],
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: RecombinedSftSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on the paths of at least `min_return`, and with
    `with_demonstrations` on the demonstrations.

    `num_paths` counts the paths kept; of them `num_combined` are no single run's, also not with
    steps left out, `num_extended` have an action that no run took, `num_shortened` are a run's with
    steps left out, `num_succeeded` succeed, and `num_from_failures` are of tasks whose best run
    failed; `num_repaired` both.

    Raises `InvalidInput` if `min_return` leaves no path, nothing fits the length, or no turn
    has an action.
    """
    kept = _kept(recombined, section)
    if not kept:
        raise InvalidInput(
            f"recombined_sft.min_return {section.min_return} leaves none of {len(recombined)} "
            "paths; lower it"
        )
    paths = [path.trajectory for path in kept]
    counts = _counts(kept, fitting.success_threshold)
    return imitate(paths, demonstrations, start, section, fitting, counts=counts)


def imitated(
    *, recombined: Sequence[Recombined], section: RecombinedSftSection, **others: Any
) -> Sequence[Imitated]:
    return whole([path.trajectory for path in _kept(recombined, section)])


def _kept(recombined: Sequence[Recombined], section: RecombinedSftSection) -> list[Recombined]:
    least = section.min_return
    return [path for path in recombined if at_least(path.trajectory.total_return, least)]


def _counts(kept: Sequence[Recombined], success_threshold: float) -> dict[str, float]:
    succeeded = [at_least(path.trajectory.total_return, success_threshold) for path in kept]
    failed_before = [not at_least(path.best_return, success_threshold) for path in kept]
    makings = [path.making for path in kept]
    return {
        "num_paths": len(kept),
        "num_combined": makings.count("combined"),
        "num_extended": makings.count("extended"),
        "num_shortened": makings.count("shortened"),
        "num_succeeded": sum(succeeded),
        "num_from_failures": sum(failed_before),
        "num_repaired": sum(map(all, zip(succeeded, failed_before, strict=True))),
    }


METHOD = Method(
    name="recombined_sft",
    label="Strong + recombined SFT",
    explanation="then fine-tuned on paths made of a task's runs, failed ones too",
    is_tested=True,
    section=RecombinedSftSection,
    needs={
        "recombined": "recombined",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    train=train,
    imitated=imitated,
)
