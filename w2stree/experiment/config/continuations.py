"""Continuations in a configuration: which contrasts are measured, how, and for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from w2stree.experiment.section import Positive, Section
from w2stree.policies.protocol import Sampling
from w2stree.rollouts.continuations import StepBudget
from w2stree.rollouts.contrasts import Order
from w2stree.rollouts.paired_looks import PairedLooks


class ContinuationsSection(Section):
    """The weak model plays on from both actions of a contrast (`rollouts.continuations`).

    At most `per_task` contrasts of a task, its first ones by `order`; what the `budget` leaves
    unmeasured is not learned from.
    """

    per_task: Positive | None = 4
    order: Order = "gap"
    test: PairedLooks = PairedLooks()
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    budget: StepBudget = StepBudget()

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p)
