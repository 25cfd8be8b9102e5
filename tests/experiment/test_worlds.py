"""The worlds of the experiments: comparable methods, and tasks that no two parts share."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")
pytest.importorskip("textworld_express")

from w2stree.experiment.config import load_config
from w2stree.experiment.stages.context import Context
from w2stree.rollouts.task_choice import TaskChoice
from w2stree.training.optimisation import Optimisation

WORLDS = ("twc_two", "twc_three", "twc_rooms", "twc_rooms_three")
IMITATE = (
    "demos_equal_steps",
    "weak_sft_naive",
    "best_of_m",
    "mcts_sft",
    "recombined_sft",
    "searched_sft",
    "failure_sft",
    "ceiling",
)
"""Methods that are trained by imitation from the strong SFT model."""


@pytest.mark.parametrize("name", WORLDS)
def test_every_method_is_run_and_those_that_imitate_take_equal_steps(name: str) -> None:
    config = load_config(name)
    run = {method.name for method in config.methods()}
    assert run == {method.name for method in config.known_methods}
    settings = [m for m in config.methods() if m.name in IMITATE]
    assert len(settings) == len(IMITATE)
    assert len({config.settings(method).optimisation for method in settings}) == 1
    (length,) = {config.settings(method).optimisation.num_steps for method in settings}
    assert length is not None
    for method in config.methods():
        if method.train is not None:
            given = config.settings(method)
            assert isinstance(getattr(given, "optimisation", given), Optimisation)


@pytest.mark.parametrize("name", WORLDS)
def test_settings_are_chosen_on_tasks_that_are_not_tested(name: str) -> None:
    tasks = load_config(name).tasks
    assert tasks.distinct
    assert tasks.dev is not None
    assert (tasks.dev.split, tasks.dev.count) == ("train", 100)
    assert [(panel.split, panel.count) for panel in tasks.test.values()] == [("train", 400)]


@pytest.mark.parametrize("name", WORLDS)
def test_a_seed_leaves_tasks_and_pretraining_as_they_are(name: str) -> None:
    one, other = load_config(name), load_config(name, ["seed=1"])
    for stage in ("random_play", "pretrain"):
        assert one.seed_of(stage) == other.seed_of(stage)
    assert one.tasks == other.tasks
    assert other.seed_of("explore") == other.seed_of("evaluate") == 1


@pytest.mark.java
@pytest.mark.slow  # half a minute a world; pytest -m slow tests/experiment/test_worlds.py
@pytest.mark.parametrize("name", WORLDS)
def test_no_two_tasks_open_alike_and_the_game_has_enough(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    with closing(Context(config, tmp_path / "run")) as context:
        parts = context.parts()
    counts = {part: len(chosen.openings) for part, chosen in parts.by_name().items()}
    assert counts == {
        "tasks.test.test": 400,
        "tasks.dev": 100,
        "tasks.demonstrations": config.tasks.demonstrations,
        "tasks.explore": config.tasks.explore,
    }
    assert set(parts.num_shared().values()) == {0}
    taken = parts.taken()
    assert len(taken) == sum(counts.values())
    assert config.strong.pretrain is not None
    for game in config.strong.pretrain.games:
        with game.options(config.strong.pretrain.max_steps).pool() as pool:
            choice = TaskChoice(pool, seed=config.tasks.seed, taken=taken)
            openings = choice.take(game.game, "train", game.episodes).openings.values()
        assert not taken.keys() & set(openings)
        taken |= dict.fromkeys(openings, game.game)
