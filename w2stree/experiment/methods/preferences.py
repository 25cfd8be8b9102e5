"""What methods that learn from preference rows share: the loss, and how many rows are taken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from w2stree.errors import InvalidInput
from w2stree.experiment.section import Positive, Section
from w2stree.rows.rows import PreferenceRow
from w2stree.training.optimisation import Optimisation

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained

Reference = Literal["weak", "start"]
"""What the loss is measured against: the weak SFT model, or the model that training starts from."""


class PreferenceSection(Section):
    """`max_rows`: at most so many rows, drawn; as all draws here with the stage's seed. `beta`,
    `sft_weight`: see `train_dpo`."""

    max_rows: Positive | None = None
    beta: Annotated[float, Field(gt=0)] = 0.1
    sft_weight: Annotated[float, Field(ge=0)] = 0.0
    optimisation: Optimisation


def reference_of(reference: Reference, weak: ModelSource) -> ModelSource | None:
    """As `fit` takes it."""
    return weak if reference == "weak" else None


def fit(
    rows: Sequence[PreferenceRow],
    start: ModelSource,
    section: PreferenceSection,
    fitting: Fitting,
    *,
    reference: ModelSource | None = None,
    none: str,
) -> Trained:
    """Trains the model that `start` opens on the rows, against `reference`, or without one against
    itself as it starts; `num_preference_rows` counts them before `max_rows`.

    Raises `InvalidInput` where there are no rows, for the reason `none`, where none fits the
    length, and as `train_dpo` does.
    """
    if not rows:
        raise InvalidInput(f"no preference rows to train on: {none}")
    taken = rows
    if section.max_rows and len(rows) > section.max_rows:
        taken = random.Random(fitting.seed).sample(rows, section.max_rows)
    trained = fitting.dpo(
        start(),
        taken,
        section.optimisation,
        reference=reference or start,
        reference_is_start=reference is None,
        beta=section.beta,
        sft_weight=section.sft_weight,
    )
    return replace(trained, metrics={"num_preference_rows": len(rows), **trained.metrics})
