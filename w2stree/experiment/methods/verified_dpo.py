"""VerifiedDPO: the strong SFT model learns the choices whose cause was measured, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from w2stree.experiment.methods.method import Method
from w2stree.experiment.methods.preferences import PreferenceSection, Reference, fit, reference_of
from w2stree.forest.forest import Forest
from w2stree.forest.pairs import PreferencePair
from w2stree.rollouts.continuations import Measured
from w2stree.rows.rows import PreferenceRow, preference_rows
from w2stree.trajectories.returns import at_least

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class VerifiedDpoSection(PreferenceSection):
    """The loss. `min_difference`: the least mean difference of
    continuations that is learned from, beside being significant."""

    min_difference: Annotated[float, Field(ge=0)] = 0.0
    reference: Reference = "weak"


def train(
    *,
    continuations: Sequence[Measured],
    forest: Forest,
    weak: ModelSource,
    start: ModelSource,
    section: VerifiedDpoSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on one row for each significant contrast: at the
    history from which both were measured, the action that did better against the other.

    `num_measured`, `num_significant` and `num_reversed` (of these: against the forest's sign) count
    contrasts; `num_preference_rows` the rows of them. Raises `InvalidInput` where no contrast gives
    a row, and as `preferences.fit` does.
    """
    significant = [measured for measured in continuations if measured.is_significant]
    trained = fit(
        rows_of(continuations, forest, section),
        start,
        section,
        fitting,
        reference=reference_of(section.reference, weak),
        none=f"{len(significant)} of {len(continuations)} contrasts are significant, and none "
        "gives one; measure more (continuations.per_task, its budget), raise "
        "continuations.test.alpha, or lower verified_dpo.min_difference",
    )
    counts = {
        "num_measured": len(continuations),
        "num_significant": len(significant),
        "num_reversed": sum(measured.verdict == "reversed" for measured in significant),
    }
    return replace(trained, metrics={**counts, **trained.metrics})


def compared(
    *,
    continuations: Sequence[Measured],
    forest: Forest,
    section: VerifiedDpoSection,
    **others: Any,
) -> Sequence[PreferenceRow]:
    return rows_of(continuations, forest, section)


def rows_of(
    continuations: Sequence[Measured], forest: Forest, section: VerifiedDpoSection
) -> list[PreferenceRow]:
    """One row for each significant contrast of at least `min_difference`, in their order, those
    left out that read as another one does or whose better turn has no action. Returns and counts of
    a row are those of the continuations."""
    kept = [
        measured
        for measured in continuations
        if measured.is_significant and at_least(abs(_difference(measured)), section.min_difference)
    ]
    by_pair = {}
    for measured in kept:
        pair = _pair(measured, forest)
        by_pair[id(pair.chosen)] = (pair, measured)
    rows = preference_rows((pair for pair, _ in by_pair.values()), "step")
    return [_as_measured(row, by_pair[id(row.chosen)][1]) for row in rows]


def _pair(measured: Measured, forest: Forest) -> PreferencePair:
    """In the measured direction."""
    contrast = measured.contrast
    sides = [contrast.opening(forest, side) for side in contrast.sides]
    chosen, rejected = sides if measured.verdict == "confirmed" else sides[::-1]
    gap = abs(_difference(measured))
    return PreferencePair(contrast.node, contrast.task_id, contrast.depth, chosen, rejected, gap)


def _as_measured(row: PreferenceRow, measured: Measured) -> PreferenceRow:
    means = [sum(returns) / len(returns) for returns in measured.returns]
    chosen, rejected = means if measured.verdict == "confirmed" else means[::-1]
    num = len(measured.differences)
    return replace(
        row, chosen_return=chosen, rejected_return=rejected, num_chosen=num, num_rejected=num
    )


def _difference(measured: Measured) -> float:
    assert measured.look is not None, "what is significant was looked at"
    return measured.look.mean


METHOD = Method(
    name="verified_dpo",
    label="Strong + VerifiedDPO",
    explanation="then taught the choices of the weak model's runs that were measured to pay",
    is_tested=True,
    section=VerifiedDpoSection,
    needs={
        "forest": "forest",
        "continuations": "continuations",
        "weak": "sft_weak",
        "start": "sft_strong",
    },
    train=train,
    compared=compared,
)
