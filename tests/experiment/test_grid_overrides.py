"""Values of the command line, laid over the worlds of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("pydantic")

from w2stree import InvalidInput
from w2stree.experiment.changes import changes
from w2stree.experiment.grid.plan import Plan, read_plan


def plan_with(folder: Path, overrides: Sequence[str], **changes: Any) -> Plan:
    file = folder / "two.yaml"
    asked = {
        "name": "two",
        "question": "?",
        "worlds": ["miniature", "quickstart"],
        "methods": ["mcts_sft"],
        "variants": {"base": {}, "cold": {"search.num_simulations": 5}},
    }
    file.write_text(yaml.safe_dump(asked | changes), encoding="utf-8")
    return read_plan(str(file), overrides=overrides)


def test_values_are_laid_over_every_world_and_over_one(tmp_path: Path) -> None:
    given = ("max_length=900", "quickstart:search.exploration=2.5", "search.num_simulations=7")
    plan = plan_with(tmp_path, given)
    found = {place: config.search for place, config in plan.variants.items()}
    assert {config.max_length for config in plan.variants.values()} == {900}
    assert found["quickstart", "base"].exploration == 2.5
    assert found["miniature", "base"].exploration == 1.41
    simulations = {place: search.num_simulations for place, search in found.items()}
    assert simulations["miniature", "base"] == simulations["quickstart", "base"] == 7
    assert simulations["miniature", "cold"] == 5, "a variant's values are laid over these"


def test_a_world_s_own_value_is_in_place_of_one_of_all(tmp_path: Path) -> None:
    given = ("quickstart:search={exploration: 2.5}", "search.exploration=2.0", "max_length=900")
    plan = plan_with(tmp_path, (*given, "miniature:max_length=800"))
    found = {world: plan.variants[world, "base"] for world in plan.sources}
    assert {world: c.search.exploration for world, c in found.items()} == {
        "miniature": 2.0,
        "quickstart": 2.5,
    }
    assert {world: c.max_length for world, c in found.items()} == {
        "miniature": 800,
        "quickstart": 900,
    }
    with pytest.raises(InvalidInput, match="'max_length=900' is given too"):
        plan_with(tmp_path, ("max_length=900", "max_length=800"))


@pytest.mark.parametrize("key", ["search.num_simulations", "miniature:merge.embed"])
def test_what_every_variant_sets_cannot_be_laid_under_it(tmp_path: Path, key: str) -> None:
    """It would be in no cell, and the table would say that it is in all."""
    few, many = ({"search.num_simulations": n, "merge": {}} for n in (5, 50))
    with pytest.raises(InvalidInput, match=r"(num_simulations|embed) is set for every cell"):
        plan_with(tmp_path, (f"{key}=7",), variants={"few": few, "many": many})
    plan_with(tmp_path, ("search.exploration=2.0",), variants={"few": few, "many": many})


def test_a_cell_s_record_says_what_was_laid_over_its_world(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, ("quickstart:max_length=900",))
    record = {
        world: changes(
            plan.worlds[world].model_dump(mode="json"),
            plan.variants[world, "base"].model_dump(mode="json"),
        )
        for world in plan.sources
    }
    assert ("max_length", 900) in {(change.key, change.now) for change in record["quickstart"]}
    assert "max_length" not in {change.key for change in record["miniature"]}
    assert plan.overrides == {"miniature": (), "quickstart": ("max_length=900",)}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_length", "write key.path=value, or WORLD:key.path=value"),
        ("quickstart:=3", "write key.path=value"),
        ("slowstart:max_length=900", "no world 'slowstart'; .* miniature, quickstart"),
        (":max_length=900", "no world ''"),
        ("seed=3", "seed is set for every cell"),
        ("quickstart:num_threads=3", "num_threads is set for every cell"),
        ("max_lenth=900", r"miniature: max_lenth: no such key"),
    ],
)
def test_what_cannot_be_laid_over_is_refused(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        plan_with(tmp_path, (override,)).check()
