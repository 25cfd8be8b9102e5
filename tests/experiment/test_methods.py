"""A method is a file: configuration, stages, training and table follow from it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.recorded_fitting import RecordedFitting
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree import InvalidInput, Message, Trajectory, build_forest, write_trajectories
from w2stree.experiment.config import Config, load_config
from w2stree.experiment.config.experiment import config_of
from w2stree.experiment.config.reading import read_config
from w2stree.experiment.methods import METHODS, mcts_sft, tree_dpo
from w2stree.experiment.methods.method import Explored, Method
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.section import Positive, Section
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages import learn, tree
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.described import forest_figures
from w2stree.experiment.stages.inputs import inputs_for
from w2stree.policies.random import RandomPolicy
from w2stree.training.fitting import Fitting, ModelSource, Trained
from w2stree.training.models import load_model, save_model
from w2stree.training.optimisation import Optimisation

pytestmark = pytest.mark.train

OPTIMISATION = Optimisation(num_epochs=1, learning_rate=1e-3, batch_size=2)


class FewShownSection(Section):
    """A method made up for these tests: only the first demonstrations."""

    num_shown: Positive = 1
    optimisation: Optimisation


def train_few(
    *,
    shown: Sequence[Trajectory],
    start: ModelSource,
    section: FewShownSection,
    fitting: Fitting,
) -> Trained:
    return fitting.sft(start(), shown[: section.num_shown], section.optimisation)


FEW = Method(
    name="few_shown",
    label="Strong, few shown",
    explanation="fine-tuned on the first demonstrations again",
    is_tested=True,
    section=FewShownSection,
    needs={"shown": "demonstrations", "start": "mcts_sft"},
    train=train_few,
)
WITH_FEW = config_of((*METHODS, FEW))
GIVEN = "few_shown.optimisation={num_epochs: 2, learning_rate: 1.0e-3}"


def assembled(config: Config) -> dict[str, tuple[str, ...]]:
    return {spec.name: spec.needs for spec, _ in stages(Context(config, Path("nowhere")))}


def test_the_miniature_s_stages_are_these_in_this_order() -> None:
    config = load_config("miniature")
    evaluations = (f"evaluate_{method.name}" for method in config.methods())
    expected = {
        "tasks": (),
        "demonstrations": ("tasks",),
        "random_play": ("tasks",),
        "tokenizer": ("demonstrations", "random_play"),
        "sft_weak": ("demonstrations", "tokenizer"),
        "pretrain": ("random_play", "tokenizer"),
        "sft_strong": ("demonstrations", "tokenizer", "pretrain"),
        "explore": ("tasks", "sft_weak"),
        "tree": ("explore",),
        "tree_dpo": ("explore", "tree", "sft_weak", "sft_strong"),
        "mcts_sft": ("tree", "sft_strong", "demonstrations"),
        "ceiling_demonstrations": ("tasks",),
        "ceiling": ("ceiling_demonstrations", "sft_strong", "demonstrations"),
        "evaluate_random": ("tasks",),
        "evaluate_sft_weak": ("tasks", "sft_weak"),
        "evaluate_sft_strong": ("tasks", "sft_strong"),
        "evaluate_tree_dpo": ("tasks", "tree_dpo"),
        "evaluate_mcts_sft": ("tasks", "mcts_sft"),
        "evaluate_ceiling": ("tasks", "ceiling"),
        "report": (
            *("tasks", "explore", "tree"),
            *("sft_weak", "sft_strong", "tree_dpo", "mcts_sft", "ceiling"),
            *evaluations,
        ),
    }
    assert list(assembled(config).items()) == list(expected.items())


def test_a_new_method_brings_its_section_its_stages_and_its_row() -> None:
    miniature = load_config("miniature")
    known = assembled(miniature)
    config = read_config(WITH_FEW, "miniature", [GIVEN, "few_shown.num_shown=2"])
    assert config.methods() == (*miniature.methods(), FEW)
    assert config.settings(FEW) == FewShownSection(
        num_shown=2, optimisation=Optimisation(num_epochs=2, learning_rate=1e-3)
    )
    more = assembled(config)
    added = {name: needs for name, needs in more.items() if name not in known}
    assert added == {
        "few_shown": ("demonstrations", "mcts_sft"),
        "evaluate_few_shown": ("tasks", "few_shown"),
    }
    assert list(more).index("mcts_sft") < list(more).index("few_shown")
    assert set(more["report"]) - set(known["report"]) == {"few_shown", "evaluate_few_shown"}


def test_its_section_is_checked_as_any_other() -> None:
    with pytest.raises(InvalidInput, match=r"few_shown\.optimisation"):
        read_config(WITH_FEW, "miniature", ["few_shown.num_shown=1"])
    with pytest.raises(InvalidInput, match=r"few_shown\.shown"):
        read_config(WITH_FEW, "miniature", [GIVEN, "few_shown.shown=1"])
    with pytest.raises(InvalidInput, match="few_shown"):
        load_config("miniature", [GIVEN])  # a method that is not on the contents page


def test_a_method_without_a_section_is_not_run() -> None:
    assert assembled(read_config(WITH_FEW, "miniature")) == assembled(load_config("miniature"))
    config = load_config("miniature", ["ceiling=null", "tree_dpo=null"])
    assert [m.name for m in config.methods()] == ["random", "sft_weak", "sft_strong", "mcts_sft"]
    names = list(assembled(config))
    assert not {"ceiling", "ceiling_demonstrations", "evaluate_ceiling", "tree_dpo"} & set(names)
    assert "tree" in names


def test_random_play_is_not_run_where_no_actions_are_listed() -> None:
    for environment, is_run in (("{name: scienceworld}", False), ("{name: webshop}", True)):
        config = load_config("miniature", [f"environment={environment}"])
        assert ("evaluate_random" in assembled(config)) is is_run


def test_what_a_method_needs_must_be_made() -> None:
    config = read_config(WITH_FEW, "miniature", [GIVEN, "mcts_sft=null"])
    with pytest.raises(InvalidInput, match=r"few_shown learns from 'mcts_sft', which this conf"):
        assembled(config)


@pytest.mark.parametrize("method", [m for m in METHODS if m.train], ids=lambda m: m.name)
def test_training_receives_what_the_method_says_it_needs(method: Method) -> None:
    assert method.train is not None
    expected = {*method.needs, "section", "fitting"}
    parameters = inspect.signature(method.train).parameters.values()
    assert {p.name for p in parameters if p.default is inspect.Parameter.empty} == expected


def test_a_method_trains_or_plays() -> None:
    with pytest.raises(InvalidInput, match="'x': give exactly one of train, policy and drawn"):
        Method(name="x", label="X", explanation="")
    with pytest.raises(InvalidInput, match="exactly one"):
        Method(name="x", label="X", explanation="", train=train_few, policy=RandomPolicy)


def test_the_stage_hands_over_what_others_made_and_keeps_the_model(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    save_model(tmp_path / "mcts_sft" / "model", tiny_model(tokenizer), tokenizer)
    (tmp_path / "demonstrations").mkdir()
    write_trajectories(tmp_path / "demonstrations" / "trajectories.jsonl", [GOOD, BAD])
    config = read_config(WITH_FEW, "miniature", [GIVEN])
    (tmp_path / "few_shown").mkdir()
    out = StageWriter(tmp_path / "few_shown")
    learn.train(Context(config, tmp_path), out, FEW, inputs_for(FEW, config))
    assert out.metrics["num_rows"] == 1
    before, after = (load_model(tmp_path / name / "model")[0] for name in ("mcts_sft", "few_shown"))
    assert out.metrics["num_parameters"] == after.num_parameters()
    assert any((a != b).any() for a, b in zip(before.parameters(), after.parameters(), strict=True))


def test_two_methods_cannot_give_one_figure(tmp_path: Path) -> None:
    clashing = replace(FEW, describe=lambda explored, *, section, seed: {"num_preference_rows": 0})
    config = read_config(config_of((*METHODS, clashing)), "miniature", [GIVEN])
    (tmp_path / "explore").mkdir()
    write_trajectories(tmp_path / "explore" / "trajectories.jsonl", [GOOD, BAD])
    (tmp_path / "tree").mkdir()
    tree.tree(Context(config, tmp_path), StageWriter(tmp_path / "tree"))
    with pytest.raises(InvalidInput, match=r"few_shown describes .* 'num_preference_rows', which"):
        forest_figures(Context(config, tmp_path), config.methods())


@pytest.mark.parametrize(("with_demonstrations", "shown"), [(True, [GOOD, BAD]), (False, [GOOD])])
def test_mcts_sft_keeps_good_paths_and_the_demonstrations(
    with_demonstrations: bool, shown: list[Trajectory]
) -> None:
    section = mcts_sft.MctsSftSection(
        min_return=0.5, with_demonstrations=with_demonstrations, optimisation=OPTIMISATION
    )
    recorded = RecordedFitting()
    given = {"best_paths": [WORSE, GOOD], "demonstrations": [BAD], "start": lambda: "strong"}
    trained = mcts_sft.train(**given, section=section, fitting=recorded)  # type: ignore[arg-type]
    assert recorded.asked == {"start": "strong", "trajectories": shown}
    assert trained.metrics == {"num_best_paths": 1, "num_steps": 1.0}
    explored = Explored(build_forest([GOOD, WORSE]), [WORSE, GOOD], success_threshold=1.0)
    figures = {
        least: mcts_sft.describe(
            explored, section=section.model_copy(update={"min_return": least}), seed=0
        )
        for least in (0.0, 1.0)
    }
    assert figures == {
        0.0: {"num_kept_paths": 2, "num_kept_failures": 1},
        1.0: {"num_kept_paths": 1, "num_kept_failures": 0},
    }
    given["best_paths"] = [WORSE]
    with pytest.raises(InvalidInput, match=r"min_return 0.5 leaves none of 1 best paths"):
        mcts_sft.train(**given, section=section, fitting=recorded)  # type: ignore[arg-type]


def episodes() -> list[Trajectory]:
    """Of two tasks with texts of their own; three runs each, which part at the root."""
    return [
        replace(t, task_id=task, prompt=(Message("user", task),), steps=t.steps[1:])
        for task in "xy"
        for t in (GOOD, BAD, WORSE)
    ]


@pytest.mark.parametrize(
    ("options", "num_rows"),
    [
        ({}, 6),
        ({"min_gap": 0.5}, 4),
        ({"success_threshold": 1.0}, 4),
        ({"strategy": "best_worst"}, 2),
        ({"per_divergence": 1}, 2),
        ({"max_per_task": 2}, 4),
    ],
)
def test_tree_dpo_s_options_reach_the_pairs(options: dict[str, Any], num_rows: int) -> None:
    section = tree_dpo.TreeDpoSection(optimisation=OPTIMISATION, **options)
    forest = build_forest(episodes())
    found = tree_dpo.rows_of(forest, section, seed=3)
    assert len(found) == num_rows
    assert found == tree_dpo.rows_of(forest, section, seed=3)
    explored = Explored(forest, [], success_threshold=1.0)
    figures = tree_dpo.describe(explored, section=section, seed=3)
    assert figures == {
        "num_preference_rows": num_rows,
        "num_undecided_rows": 0,
        "num_alike_rows": 0,
        "num_rows_without_action": 0,
        "num_unlearned_rows": 0,
    }


@pytest.mark.parametrize("reference", ["weak", "start"])
def test_tree_dpo_draws_rows_and_chooses_its_reference(reference: str) -> None:
    section = tree_dpo.TreeDpoSection(
        max_rows=2,
        reference=reference,
        optimisation=OPTIMISATION,  # type: ignore[arg-type]
    )
    recorded = RecordedFitting()
    models = {"weak": lambda: "weak", "start": lambda: "strong"}
    forest = build_forest(episodes())
    trained = tree_dpo.train(forest=forest, **models, section=section, fitting=recorded)  # type: ignore[arg-type]
    assert recorded.asked["start"] == "strong"
    assert recorded.asked["reference"] is models[reference]
    assert recorded.asked["reference_is_start"] == (reference == "start")
    assert len(recorded.asked["rows"]) == 2
    assert trained.metrics == {"num_preference_rows": 6, "num_steps": 1.0}
