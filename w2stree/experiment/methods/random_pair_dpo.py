"""DPO on runs paired at random across tasks: the paper's ablation of the tree.

Pairs of one task would be the objective of TreeDPO on suffixes, with fewer rows: what two runs
share cancels. Across tasks nothing is shared: each run is scored under its own task's opening, and
what is compared is how far the policy has moved from the reference on the better run, and on the
worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2stree.errors import InvalidInput
from w2stree.experiment.methods import tree_dpo
from w2stree.experiment.methods.method import Method
from w2stree.experiment.methods.preferences import fit, reference_of
from w2stree.forest.forest import Forest
from w2stree.rows.rows import PreferenceRow
from w2stree.rows.whole_runs import random_rows

if TYPE_CHECKING:
    from w2stree.training.fitting import Fitting, ModelSource, Trained


class RandomPairDpoSection(tree_dpo.TreeDpoSection):
    """The settings of the TreeDPO that it is compared with: as many pairs are drawn as those give
    rows, `max_rows` at most."""


def train(
    *,
    forest: Forest,
    weak: ModelSource,
    start: ModelSource,
    section: RandomPairDpoSection,
    fitting: Fitting,
) -> Trained:
    """Trains the strong SFT model (`start`) on whole runs, the one with the greater return chosen.

    Raises `InvalidInput` where the forest has fewer such pairs than the settings give TreeDPO rows,
    and as `tree_dpo.train`.
    """
    wanted, rows = _drawn(forest, section, fitting.seed)
    if len(rows) < wanted:
        raise InvalidInput(
            f"random_pair_dpo: only {len(rows)} pairs of explored runs are of two tasks and differ "
            f"in return, and {wanted} are wanted, as many as TreeDPO has rows: set "
            "random_pair_dpo.max_rows, and tree_dpo.max_rows with it"
        )
    reference = reference_of(section.reference, weak)
    return fit(rows, start, section, fitting, reference=reference, none=tree_dpo.NO_ROWS)


def compared(
    *, forest: Forest, section: RandomPairDpoSection, seed: int, **others: Any
) -> Sequence[PreferenceRow]:
    return _drawn(forest, section, seed)[1]


def _drawn(
    forest: Forest, section: RandomPairDpoSection, seed: int
) -> tuple[int, Sequence[PreferenceRow]]:
    """How many rows are wanted, and the rows."""
    wanted = len(tree_dpo.rows_of(forest, section, seed))
    wanted = min(wanted, section.max_rows or wanted)
    return wanted, random_rows(forest.trajectories, wanted, seed=seed)


METHOD = Method(
    name="random_pair_dpo",
    label="Strong + DPO, random pairs",
    explanation="then taught runs that paid over runs of other tasks that paid less",
    section=RandomPairDpoSection,
    needs=tree_dpo.METHOD.needs,
    train=train,
    compared=compared,
)
