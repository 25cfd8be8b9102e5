"""Best of M: the strong SFT model imitates each task's best run, where it succeeded.

Rejection sampling (ReST, STaR, RFT): no search, no tree, no failure. In a prefix tree a searched
path is one of the runs, so this is what MCTS-SFT comes to (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.imitation import imitate
from w2stree.experiment.methods.method import Explored, Imitated, Method, whole
from w2stree.experiment.section import Fraction, Section
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class BestOfMSection(Section):
    """The best run of each task, where its return is at least `min_return`; null: where it
    succeeded (`evaluate.success_threshold`). With the demonstrations or without."""

    min_return: Fraction | None = None
    with_demonstrations: bool = True
    optimisation: Optimisation


def train(
    *,
    explored: Sequence[Trajectory],
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: BestOfMSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on the kept runs, and with `with_demonstrations` on the
    demonstrations; `num_best_runs` counts the runs kept.

    Raises `InvalidInput` if `min_return` leaves no run, nothing fits the length, or no turn
    has an action.
    """
    kept = kept_runs(explored, section, fitting.success_threshold)
    if not kept:
        least = fitting.success_threshold if section.min_return is None else section.min_return
        raise InvalidInput(
            f"best_of_m: no task has a run of at least {least:g}; lower best_of_m.min_return"
        )
    counts = {"num_best_runs": len(kept)}
    return imitate(kept, demonstrations, start, section, fitting, counts=counts)


def describe(explored: Explored, *, section: BestOfMSection, seed: int) -> Mapping[str, float]:
    """`num_kept_runs`: how many runs `train` would keep."""
    kept = kept_runs(explored.forest.trajectories, section, explored.success_threshold)
    return {"num_kept_runs": len(kept)}


def imitated(
    *,
    explored: Sequence[Trajectory],
    section: BestOfMSection,
    success_threshold: float,
    **others: Any,
) -> Sequence[Imitated]:
    return whole(kept_runs(explored, section, success_threshold))


def kept_runs(
    explored: Iterable[Trajectory], section: BestOfMSection, success_threshold: float
) -> list[Trajectory]:
    """The best runs of at least `min_return`."""
    least = success_threshold if section.min_return is None else section.min_return
    return [run for run in best_runs(explored) if at_least(run.total_return, least)]


def best_runs(explored: Iterable[Trajectory]) -> list[Trajectory]:
    """Each task's run of greatest return, ties to the first, in the order of the tasks' first runs:
    those of a forest's trees. A run that ended in an error is none."""
    best: dict[str, Trajectory] = {}
    for run in explored:
        if run.status == "error":
            continue
        known = best.setdefault(run.task_id, run)
        if not at_least(known.total_return, run.total_return):
            best[run.task_id] = run
    return list(best.values())


METHOD = Method(
    name="best_of_m",
    label="Strong + best of M",
    explanation="then fine-tuned on the best run of each task that a run solved",
    is_tested=True,
    section=BestOfMSection,
    needs={
        "explored": "explored",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    train=train,
    describe=describe,
    imitated=imitated,
)
