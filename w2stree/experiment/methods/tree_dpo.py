"""TreeDPO (Eq. 6): the strong SFT model learns which choices in the weak one's runs paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from w2stree.experiment.methods.method import Explored, Method
from w2stree.experiment.methods.preferences import PreferenceSection, Reference, fit, reference_of
from w2stree.experiment.section import Positive
from w2stree.forest.forest import Forest
from w2stree.forest.pairs import Strategy
from w2stree.rows.rows import Completion, PreferenceRow, PreferenceRows, preference_rows

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained

NO_ROWS = (
    "in no explored task do two runs part and end with returns that differ as asked: explore more, "
    "or by other samplings, or lower min_gap or success_threshold"
)


class TreeDpoSection(PreferenceSection):
    """Which pairs (`Forest.pairs`), which rows of them (`preference_rows`), and the loss."""

    min_gap: Annotated[float, Field(ge=0)] = 0.0
    success_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    strategy: Strategy = "all"
    per_divergence: Positive | None = None
    max_per_task: Positive | None = None
    completion: Completion = "step"
    reference: Reference = "weak"


def train(
    *,
    forest: Forest,
    weak: ModelSource,
    start: ModelSource,
    section: TreeDpoSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on the forest's preference rows against the reference,
    `weak` or `start`; `num_preference_rows` counts them before `max_rows`.

    Raises `InvalidInput` if the forest gives no rows or none fits the length, and as `train_dpo`
    does for a first loss that is not ln 2.
    """
    rows = rows_of(forest, section, fitting.seed)
    reference = reference_of(section.reference, weak)
    return fit(rows, start, section, fitting, reference=reference, none=NO_ROWS)


def compared(
    *, forest: Forest, section: TreeDpoSection, seed: int, **others: Any
) -> Sequence[PreferenceRow]:
    return rows_of(forest, section, seed)


def describe(explored: Explored, *, section: TreeDpoSection, seed: int) -> Mapping[str, float]:
    """`num_preference_rows`: how many rows `train` would find, before `max_rows`; and the
    comparisons that give none, by their kind (`PreferenceRows`)."""
    rows = rows_of(explored.forest, section, seed)
    return {
        "num_preference_rows": len(rows),
        "num_undecided_rows": rows.num_undecided,
        "num_alike_rows": rows.num_alike,
        "num_rows_without_action": rows.num_without_action,
        "num_unlearned_rows": rows.num_unlearned,
    }


def rows_of(forest: Forest, section: TreeDpoSection, seed: int) -> PreferenceRows:
    """The rows that the section asks for, before `max_rows`."""
    pairs = forest.pairs(
        section.min_gap,
        success_threshold=section.success_threshold,
        strategy=section.strategy,
        per_divergence=section.per_divergence,
        max_per_task=section.max_per_task,
        seed=seed,
    )
    return preference_rows(pairs, section.completion)


METHOD = Method(
    name="tree_dpo",
    label="Strong + TreeDPO",
    explanation="then taught which choices in the weak model's runs paid",
    is_tested=True,
    section=TreeDpoSection,
    needs={"forest": "forest", "weak": "sft_weak", "start": "sft_strong"},
    train=train,
    describe=describe,
    compared=compared,
)
