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
from w2stree.experiment.checks import check
from w2stree.experiment.config import load_config
from w2stree.experiment.methods import (
    ceiling_preferences,
    confident_dpo,
    eto,
    random_pair_dpo,
    tree_dpo,
    tree_dpo_suffix,
)
from w2stree.experiment.methods.method import Explored, Method
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.rollouts.contrasts import choose_contrasts
from w2stree.rows.rows import preference_rows
from w2stree.training.fitting import Fitting, Model
from w2stree.training.optimisation import Optimisation

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


def test_successes_alone_prefer_nothing_and_a_threshold_leaves_out_pairs_of_failures(
    fitting: Fitting,
) -> None:
    """What docs/experiments.md says of the experiment `failures`."""
    forest = build_forest([replace(t, total_return=1.0) for t in runs()])
    section = tree_dpo.TreeDpoSection(optimisation=OPTIMISATION)
    assert not forest.pairs()
    assert not choose_contrasts(forest, order="gap", per_task=None, seed=0)
    weak, strong = model(1), model(0)
    confident = confident_dpo.ConfidentDpoSection(optimisation=OPTIMISATION)
    pairs = random_pair_dpo.RandomPairDpoSection(optimisation=OPTIMISATION)
    for train, settings in (
        (tree_dpo.train, section),
        (confident_dpo.train, confident),
        (random_pair_dpo.train, pairs),
    ):
        with pytest.raises(InvalidInput, match="no preference rows to train on"):
            train(forest=forest, weak=weak, start=strong, section=settings, fitting=fitting)
    first = WORSE.steps[0]
    parted = [
        replace(WORSE, steps=(replace(first, action=went, response=went),), total_return=worth)
        for went, worth in (("go west", 0.2), ("go east", 0.6))
    ]
    failed = build_forest(parted)
    assert len(tree_dpo.rows_of(failed, section, 0)) == 1, "the better of two failures is chosen"
    won = section.model_copy(update={"success_threshold": 1.0})
    assert not tree_dpo.rows_of(failed, won, 0)
    assert tree_dpo.rows_of(build_forest(runs()), won, 0)


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


@pytest.mark.parametrize("method", [eto.METHOD, ceiling_preferences.METHOD], ids=lambda m: m.name)
def test_experts_are_preferred_to_the_model_s_own_failures(
    fitting: Fitting, method: Method
) -> None:
    assert method.train is not None
    expert, worst, worse = runs()[:3]
    elsewhere = runs()[4]
    section = eto.ExpertPreferenceSection(more_turns=0, optimisation=OPTIMISATION)
    start = model(0)
    long = replace(worst, steps=worst.steps * 2)
    trained = method.train(
        own=[expert, long, long, worse, elsewhere],
        experts=[expert],
        start=start,
        section=section,
        fitting=fitting,
    )
    assert [(r.chosen, r.rejected, r.num_rejected) for r in asked["rows"]] == [
        (expert, long, 2),
        (expert, worse, 1),
    ]
    assert [len(r.turns(r.rejected)) for r in asked["rows"]] == [3, 2]
    assert (asked["reference"], asked["reference_is_start"]) == (start, True)
    assert trained.steps[0]["loss"] == pytest.approx(0.693147, abs=1e-4)
    figures = ("num_used_rows", "num_own_as_good", "num_own_without_expert", "num_own_unusable")
    assert [trained.metrics[name] for name in figures] == [2, 1, 1, 0]
    with pytest.raises(InvalidInput, match="of 1 own runs 1 did as well as the expert's, 0 are"):
        method.train(own=[expert], experts=[expert], start=start, section=section, fitting=fitting)


def test_random_pairs_are_of_two_tasks_and_as_many_as_tree_dpo_s_rows(fitting: Fitting) -> None:
    forest = build_forest(runs())
    section = random_pair_dpo.RandomPairDpoSection(optimisation=OPTIMISATION)
    num_rows = len(tree_dpo.rows_of(forest, section, 3))
    weak = model(1)
    given = {"forest": forest, "weak": weak, "start": model(0)}
    trained = random_pair_dpo.train(**given, section=section, fitting=fitting)  # type: ignore[arg-type]
    assert trained.metrics["num_used_rows"] == num_rows == len(asked["rows"]) == 6
    assert asked["reference"] is weak
    for row in asked["rows"]:
        assert row.chosen.task_id != row.rejected.task_id
        assert row.gap == row.chosen.total_return - row.rejected.total_return > 0
        assert not row.is_one_history
    assert len({(id(r.chosen), id(r.rejected)) for r in asked["rows"]}) == 6
    only_task = {**given, "forest": build_forest(runs()[:3])}
    with pytest.raises(InvalidInput, match=r"only 0 pairs of explored runs .* 3 are wanted"):
        random_pair_dpo.train(**only_task, section=section, fitting=fitting)  # type: ignore[arg-type]


def given(*names: str) -> list[str]:
    how = "{optimisation: {num_epochs: 1, learning_rate: 1.0e-4}}"
    return [f"{name}={how}" for name in names]


def test_what_they_need_is_made_for_them_alone() -> None:
    def assembled(*overrides: str) -> dict[str, tuple[str, ...]]:
        context = Context(load_config("miniature", overrides), Path("nowhere"))
        return {spec.name: spec.needs for spec, _ in stages(context)}

    plain = assembled("ceiling=null")
    assert not [name for name in plain if name.startswith("explore_")]
    found = assembled("ceiling=null", *given("eto"))
    assert {name: found[name] for name in found if name not in plain} == {
        "explore_demonstrated": ("tasks", "sft_strong"),
        "eto": ("explore_demonstrated", "demonstrations", "sft_strong"),
        "evaluate_eto": ("tasks", "eto"),
    }
    found = assembled("ceiling=null", *given("ceiling_preferences"))
    assert {name: found[name] for name in found if name not in plain} == {
        "explore_strong": ("tasks", "sft_strong"),
        "ceiling_demonstrations": ("tasks",),
        "ceiling_preferences": ("explore_strong", "ceiling_demonstrations", "sft_strong"),
        "evaluate_ceiling_preferences": ("tasks", "ceiling_preferences"),
    }
    base = assembled("explore_strong={samplings: [{model: base}]}", *given("eto"))
    assert base["explore_demonstrated"] == ("tasks", "sft_strong", "tokenizer", "pretrain")


def test_the_strong_model_must_be_told_how_to_explore(tmp_path: Path) -> None:
    given_runs = "explore={trajectories: runs.jsonl}"
    config = load_config("miniature", [given_runs, *given("eto")])
    with pytest.raises(InvalidInput, match=r"eto learns from .*: set explore_strong.samplings"):
        check(Context(config, tmp_path))


def test_a_prior_that_the_model_does_not_take_is_refused_before_anything_is_played() -> None:
    with pytest.raises(
        ValueError, match=r"prior_runs is 0\.1; give 0\.5 to 1e9 with the model beta"
    ):
        confident_dpo.ConfidentDpoSection(optimisation=OPTIMISATION, model="beta", prior_runs=0.1)
