"""The demonstrations alone, for as many steps as other methods: what longer training gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import field_validator

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.method import Method
from w2stree.experiment.section import Section
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class DemosEqualStepsSection(Section):
    """`optimisation.num_steps` is that of the methods it is compared with."""

    optimisation: Optimisation

    @field_validator("optimisation")
    @classmethod
    def _counts_steps(cls, given: Optimisation) -> Optimisation:
        if given.num_steps is None:
            raise InvalidInput(
                "num_epochs makes it as long as the demonstrations are many; give num_steps, those "
                "of the methods that it is compared with"
            )
        return given


def train(
    *,
    start: ModelSource,
    demonstrations: Sequence[Trajectory],
    section: DemosEqualStepsSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on the demonstrations that it was trained on, further.

    Raises `InvalidInput` if no demonstration fits the length, or no turn of them has an action.
    """
    return fitting.sft(start(), demonstrations, section.optimisation)


METHOD = Method(
    name="demos_equal_steps",
    label="Strong + demonstrations again",
    explanation="then fine-tuned on its demonstrations again, for as many steps as the others",
    section=DemosEqualStepsSection,
    needs={"start": "sft_strong", "demonstrations": "demonstrations"},
    train=train,
)
