"""Searched SFT: the strong SFT model imitates what searching the environment without any run gives.

The control of recombined SFT, with as many environment steps a task and the same optimisation: of
what that gains, only what is beyond this one is the runs' gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.imitation import PathSection, imitate
from w2stree.experiment.methods.method import Imitated, Method, whole
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class SearchedSftSection(PathSection):
    """Searched paths of at least `min_return`, by default of every task that has one; with the
    demonstrations or without."""


def train(
    *,
    searched: Sequence[Trajectory],
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: SearchedSftSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on the paths of at least `min_return`, and with
    `with_demonstrations` on the demonstrations. `num_paths` counts the paths kept, `num_succeeded`
    those of them that succeed.

    Raises `InvalidInput` if `min_return` leaves no path, nothing fits the length, or a trajectory
    has no agent token.
    """
    kept = _kept(searched, section)
    if not kept:
        raise InvalidInput(
            f"searched_sft.min_return {section.min_return} leaves none of {len(searched)} "
            "paths; lower it"
        )
    succeeded = [at_least(path.total_return, fitting.success_threshold) for path in kept]
    counts = {"num_paths": len(kept), "num_succeeded": sum(succeeded)}
    return imitate(kept, demonstrations, start, section, fitting, counts=counts)


def imitated(
    *, searched: Sequence[Trajectory], section: SearchedSftSection, **others: Any
) -> Sequence[Imitated]:
    return whole(_kept(searched, section))


def _kept(searched: Sequence[Trajectory], section: SearchedSftSection) -> list[Trajectory]:
    return [path for path in searched if at_least(path.total_return, section.min_return)]


METHOD = Method(
    name="searched_sft",
    label="Strong + searched SFT",
    explanation="then fine-tuned on what searching the environment without any run gives",
    section=SearchedSftSection,
    needs={
        "searched": "searched",
        "start": "sft_strong",
        "demonstrations": "demonstrations",
    },
    train=train,
    imitated=imitated,
    needs_listed_actions=True,
)
