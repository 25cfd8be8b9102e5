"""Methods that learn from preference rows, each trained for real on small runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("pydantic")

from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree import InvalidInput, Message, Trajectory, build_forest
from w2stree.errors import LikelihoodDisplaced
from w2stree.experiment.methods import tree_dpo, tree_dpo_suffix
from w2stree.experiment.methods.method import Explored
from w2stree.training.fitting import Fitting, Model
from w2stree.training.optimisation import Optimisation
from w2stree.training.rows import preference_rows

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings(f"ignore::{LikelihoodDisplaced.__module__}.LikelihoodDisplaced"),
]

OPTIMISATION = Optimisation(num_epochs=1, learning_rate=1e-4, batch_size=4)


def runs() -> list[Trajectory]:
    """Three runs each of two tasks with texts of their own."""
    return [
        replace(t, task_id=task, prompt=(Message("user", f"Cook in room {task}."),))
        for task in "xy"
        for t in (GOOD, BAD, WORSE)
    ]


def model(seed: int) -> Callable[[], Model]:
    tokenizer = tiny_tokenizer()
    return lambda: (tiny_model(tokenizer, seed=seed), tokenizer)


class Watched(Fitting):
    """What a method asks of it is kept."""

    def dpo(self, start: Any, rows: Any, optimisation: Any, **options: Any) -> Any:
        asked.update(rows=list(rows), **options)
        return super().dpo(start, rows, optimisation, **options)


asked: dict[str, Any] = {}


@pytest.fixture
def fitting(tmp_path: Path) -> Fitting:
    asked.clear()
    return Watched(max_length=512, seed=3, output_dir=tmp_path)


def test_tree_dpo_suffix_is_eq_6_as_it_stands(fitting: Fitting) -> None:
    section = tree_dpo_suffix.TreeDpoSuffixSection(optimisation=OPTIMISATION)
    assert (section.beta, section.reference, section.sft_weight) == (0.1, "weak", 0.0)
    forest = build_forest(runs())
    weak, strong = model(1), model(0)
    trained = tree_dpo.train(
        forest=forest, weak=weak, start=strong, section=section, fitting=fitting
    )
    assert asked["rows"] == list(preference_rows(forest.pairs(), "suffix"))
    assert all(row.end is None for row in asked["rows"])
    assert (asked["reference"], asked["reference_is_start"]) == (weak, False)
    assert trained.metrics["num_preference_rows"] == trained.metrics["num_used_rows"] == 6
    explored = Explored(forest, [], success_threshold=1.0)
    assert tree_dpo_suffix.describe(explored, section=section, seed=0) == {"num_suffix_rows": 6}
    with pytest.raises(InvalidInput, match="no preference rows to train on: in no explored task"):
        tree_dpo.train(
            forest=build_forest([GOOD]), weak=weak, start=strong, section=section, fitting=fitting
        )
