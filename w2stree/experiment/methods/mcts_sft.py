"""MCTS-SFT (L_MCTS): the strong SFT model imitates the best paths that the search found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.imitation import PathSection, imitate
from w2stree.experiment.methods.method import Explored, Imitated, Method, whole
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class MctsSftSection(PathSection):
    """Best paths of at least `min_return`, with the demonstrations or without."""


def train(
    *,
    best_paths: Sequence[Trajectory],
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: MctsSftSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on the best paths of at least `min_return`, and with
    `with_demonstrations` on the demonstrations; `num_best_paths` counts the paths kept.

    Raises `InvalidInput` if `min_return` leaves no path, nothing fits the length, or no turn
    has an action.
    """
    kept = kept_paths(best_paths, section)
    if not kept:
        raise InvalidInput(
            f"mcts_sft.min_return {section.min_return} leaves none of {len(best_paths)} best "
            "paths; lower it"
        )
    counts = {"num_best_paths": len(kept)}
    return imitate(kept, demonstrations, start, section, fitting, counts=counts)


def describe(explored: Explored, *, section: MctsSftSection, seed: int) -> Mapping[str, float]:
    """`num_kept_paths`: how many paths `train` would keep; `num_kept_failures`: of these, how many
    are failed runs."""
    kept = kept_paths(explored.best_paths, section)
    succeeded = [at_least(t.total_return, explored.success_threshold) for t in kept]
    return {"num_kept_paths": len(kept), "num_kept_failures": succeeded.count(False)}


def imitated(
    *, best_paths: Sequence[Trajectory], section: MctsSftSection, **others: Any
) -> Sequence[Imitated]:
    return whole(kept_paths(best_paths, section))


def kept_paths(best_paths: Sequence[Trajectory], section: MctsSftSection) -> list[Trajectory]:
    """Those of at least `min_return`."""
    return [t for t in best_paths if at_least(t.total_return, section.min_return)]


METHOD = Method(
    name="mcts_sft",
    label="Strong + MCTS-SFT",
    explanation="then fine-tuned on the best paths found in those runs",
    is_tested=True,
    section=MctsSftSection,
    needs={
        "best_paths": "best_paths",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    train=train,
    describe=describe,
    imitated=imitated,
)
