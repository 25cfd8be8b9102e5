"""TreeDPO on steps, each as sure as the runs make it: a posterior that its action is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from w2stree.experiment.methods import tree_dpo
from w2stree.experiment.methods.method import Explored, Method
from w2stree.experiment.methods.preferences import PreferenceSection, Reference, fit, reference_of
from w2stree.forest.forest import Forest
from w2stree.rows.confidence import Posterior, spread, with_confidence
from w2stree.rows.rows import PreferenceRow, preference_rows

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class ConfidentDpoSection(PreferenceSection):
    """The posterior (`rows.confidence.Posterior`) and what is made of it.

    `learns: label`: the loss learns both labels in the shares c and 1 - c. `weight`: it learns the
    preference, and the row counts 2c - 1. Rows that are at most `min_confidence` sure are left out.
    `sd` None: the forest's own (`spread`). `model: beta` takes `prior_runs` of 0.5 to 1e9.
    """

    model: Literal["normal", "beta"] = "normal"
    prior_runs: Annotated[float, Field(gt=0)] = 1.0
    sd: Annotated[float, Field(gt=0)] | None = None
    min_confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.5
    learns: Literal["label", "weight"] = "label"
    reference: Reference = "weak"
    sft_weight: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _is_a_posterior(self) -> ConfidentDpoSection:
        # It would fail only after the runs are played.
        self.posterior(1.0 if self.sd is None else self.sd, success_threshold=1.0)
        return self

    def posterior(self, sd: float, success_threshold: float) -> Posterior:
        return Posterior(
            model=self.model,
            prior_runs=self.prior_runs,
            sd=sd,
            success_threshold=success_threshold,
        )


def train(
    *,
    forest: Forest,
    weak: ModelSource,
    start: ModelSource,
    section: ConfidentDpoSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on all step rows of the forest, as sure as they are.

    `num_doubtful_rows` counts those left out. Raises `InvalidInput` if none is left, as `train_dpo`
    does, and where the model can only be trained unshared.
    """
    found = rows_of(forest, section, fitting.success_threshold)
    reference = reference_of(section.reference, weak)
    none = tree_dpo.NO_ROWS if not found.num_doubtful else found.why_none(section)
    trained = fit(found.rows, start, section, fitting, reference=reference, none=none)
    return replace(trained, metrics={"num_doubtful_rows": found.num_doubtful, **trained.metrics})


def describe(explored: Explored, *, section: ConfidentDpoSection, seed: int) -> Mapping[str, float]:
    """`num_confident_rows`, `num_doubtful_rows`, and the `mean_confidence` of the former."""
    found = rows_of(explored.forest, section, explored.success_threshold)
    total = sum(row.confidence for row in found.sure)
    return {
        "num_confident_rows": len(found.rows),
        "num_doubtful_rows": found.num_doubtful,
        "mean_confidence": total / max(1, len(found.rows)),
    }


def compared(
    *, forest: Forest, section: ConfidentDpoSection, success_threshold: float, **others: Any
) -> Sequence[PreferenceRow]:
    return rows_of(forest, section, success_threshold).rows


@dataclass(frozen=True, slots=True)
class ConfidentRows:
    """The rows as they are learned, the same with their confidence, and how many are left out."""

    rows: list[PreferenceRow]
    sure: list[PreferenceRow]
    num_doubtful: int

    def why_none(self, section: ConfidentDpoSection) -> str:
        return (
            f"none of {self.num_doubtful} is more than confident_dpo.min_confidence "
            f"({section.min_confidence:g}) sure; lower it, or explore more"
        )


def rows_of(
    forest: Forest, section: ConfidentDpoSection, success_threshold: float
) -> ConfidentRows:
    """All step rows of the forest that are sure enough."""
    sd = spread(forest) if section.sd is None else section.sd
    posterior = section.posterior(sd, success_threshold)
    found = with_confidence(preference_rows(forest.pairs(), "step"), forest, posterior)
    sure = [row for row in found if row.confidence > section.min_confidence]
    rows = sure
    if section.learns == "weight":
        rows = [replace(r, confidence=1.0, weight=2 * r.confidence - 1) for r in sure]
    return ConfidentRows(rows, sure, len(found) - len(sure))


METHOD = Method(
    name="confident_dpo",
    label="Strong + confident DPO",
    explanation="then taught those choices, each as sure as the runs behind it make it",
    is_tested=True,
    section=ConfidentDpoSection,
    needs=tree_dpo.METHOD.needs,
    train=train,
    describe=describe,
    compared=compared,
)
