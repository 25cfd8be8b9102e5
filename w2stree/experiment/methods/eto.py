"""ETO (Song and others 2024): the expert's runs over the strong model's own failures on the tasks
that were demonstrated to it.

It uses no weak model and no task beyond the demonstrated ones: the supervision that SFT had, and
the returns of the model's own play. TreeDPO has the returns of the weak model's play, on other
tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from w2stree.experiment.methods.method import Method
from w2stree.experiment.methods.preferences import PreferenceSection, fit
from w2stree.experiment.section import Whole
from w2stree.rows.rows import PreferenceRow
from w2stree.rows.whole_runs import expert_rows
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class ExpertPreferenceSection(PreferenceSection):
    """`more_turns`: own runs count as far as the expert's run is long, and so many turns more (5 in
    the authors' code, `null` for all). The reference is the model that training starts from."""

    more_turns: Whole | None = 5


def train(
    *,
    own: Sequence[Trajectory],
    experts: Sequence[Trajectory],
    start: ModelSource,
    section: ExpertPreferenceSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) to prefer the experts' runs to its `own` of the same
    tasks, and its own where they are better. Own runs that give no row are counted by reason.

    Raises `InvalidInput` where its own runs all do as well as the experts', and as `train_dpo`.
    """
    found = expert_rows(experts, own, more_turns=section.more_turns)
    none = (
        f"of {len(own)} own runs {found.num_as_good} did as well as the expert's, "
        f"{found.num_without_expert} are of tasks that none demonstrated, and {found.num_unusable} "
        "ended in an error or took no action; explore by warmer samplings (explore_strong)"
    )
    trained = fit(found.rows, start, section, fitting, none=none)
    counts = {
        "num_own_as_good": found.num_as_good,
        "num_own_without_expert": found.num_without_expert,
        "num_own_unusable": found.num_unusable,
    }
    return replace(trained, metrics={**counts, **trained.metrics})


def compared(
    *,
    own: Sequence[Trajectory],
    experts: Sequence[Trajectory],
    section: ExpertPreferenceSection,
    **others: Any,
) -> Sequence[PreferenceRow]:
    return expert_rows(experts, own, more_turns=section.more_turns).rows


METHOD = Method(
    name="eto",
    label="Strong + ETO",
    explanation="then taught the demonstrations over its own failures on the same tasks",
    section=ExpertPreferenceSection,
    needs={
        "own": "strong_on_demonstrated",
        "experts": "demonstrations",
        "start": "sft_strong",
    },
    train=train,
    compared=compared,
)
