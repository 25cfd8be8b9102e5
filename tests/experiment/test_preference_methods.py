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
from w2stree.experiment.methods import confident_dpo, tree_dpo, tree_dpo_suffix
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


@pytest.mark.parametrize("learns", ["label", "weight"])
def test_confident_dpo_learns_rows_as_sure_as_they_are(fitting: Fitting, learns: str) -> None:
    lucky = replace(WORSE, task_id="x", prompt=runs()[0].prompt, total_return=0.9)
    forest = build_forest([*runs(), lucky])
    section = confident_dpo.ConfidentDpoSection(
        learns=learns,  # type: ignore[arg-type]
        min_confidence=0.6,
        optimisation=OPTIMISATION,
    )
    trained = confident_dpo.train(
        forest=forest, weak=model(1), start=model(0), section=section, fitting=fitting
    )
    found = confident_dpo.rows_of(forest, section, 1.0)
    assert asked["rows"] == found.rows
    assert trained.metrics["num_doubtful_rows"] == found.num_doubtful > 0
    for row, sure in zip(found.rows, found.sure, strict=True):
        assert 0.6 < sure.confidence < 1
        expected = (sure.confidence, 1.0)
        if learns == "weight":
            expected = (1.0, 2 * sure.confidence - 1)
        assert (row.confidence, row.weight) == expected
    explored = Explored(forest, [], success_threshold=1.0)
    figures = confident_dpo.describe(explored, section=section, seed=0)
    assert figures["num_confident_rows"] == len(found.rows) == trained.metrics["num_used_rows"]
    assert 0.6 < figures["mean_confidence"] < 1
    with pytest.raises(InvalidInput, match=r"more than confident_dpo.min_confidence \(0.999\)"):
        confident_dpo.train(
            forest=forest,
            weak=model(1),
            start=model(0),
            section=section.model_copy(update={"min_confidence": 0.999}),
            fitting=fitting,
        )
