"""What an experiment's file asks: its cells and their order, and what is refused at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("pydantic")

from w2stree import InvalidInput
from w2stree.experiment.config import shipped_configs
from w2stree.experiment.config.reading import read_config
from w2stree.experiment.config.reading import shipped_configs as shipped
from w2stree.experiment.grid.plan import Grid, read_plan
from w2stree.experiment.methods import METHODS

AGREED = (
    *("random", "sft_weak", "sft_strong", "demos_equal_steps", "weak_sft_naive", "best_of_m"),
    *("mcts_sft", "recombined_sft", "searched_sft", "failure_sft", "tree_dpo", "tree_dpo_suffix"),
    *("random_pair_dpo", "eto", "verified_dpo", "confident_dpo", "best_of_n", "ceiling"),
    "ceiling_preferences",
)

SMALL: dict[str, Any] = {
    "name": "small",
    "question": "?",
    "worlds": ["miniature"],
    "methods": ["mcts_sft", "sft_strong"],
    "seeds": 2,
}


def written(folder: Path, **changes: Any) -> str:
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL | changes), encoding="utf-8")
    return str(file)


def test_all_of_the_first_method_comes_first(tmp_path: Path) -> None:
    plan = read_plan(
        written(
            tmp_path,
            worlds=["miniature", "quickstart"],
            variants={"base": {}, "cold": {"search.num_simulations": 5}},
        )
    )
    cells = [str(cell) for cell in plan.cells()]
    assert cells[:5] == [
        "miniature base seed 0 mcts_sft",
        "quickstart base seed 0 mcts_sft",
        "miniature base seed 1 mcts_sft",
        "quickstart base seed 1 mcts_sft",
        "miniature cold seed 0 mcts_sft",
    ]
    assert len(cells) == 2 * 2 * 2 * 2
    assert all("sft_strong" in cell for cell in cells[8:])
    chosen = plan.chosen(["sft_strong"], ["quickstart"])
    assert {(c.method, c.world) for c in chosen} == {("sft_strong", "quickstart")}
    assert len(list(read_plan(written(tmp_path), seeds=7).cells())) == 14


def test_a_cell_is_its_world_s_configuration_with_little_else(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, variants={"cold": {"search.num_simulations": 5}}))
    first, second, *_ = plan.cells()
    config, other = plan.config(first), plan.config(second)
    assert (config.seed, other.seed) == (0, 1)
    assert config.search.num_simulations == 5
    assert config.num_threads == 1, "however many the world has"
    assert plan.run_name(second) == "miniature--small.cold--seed-1"
    base = read_plan(written(tmp_path))
    assert base.run_name(next(base.cells())) == "miniature--seed-0", "of every experiment"


def test_worlds_are_found_beside_the_experiment_s_file(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "w2stree" / "experiment" / "configs" / "miniature.yaml"
    (tmp_path / "mine-own.yaml").write_text(source.read_text().replace("miniature", "mine"))
    plan = read_plan(written(tmp_path, worlds=["mine-own.yaml"]))
    assert plan.worlds["mine-own"].name == "mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contrasts": ["mcts_sft"]}, "write two methods, as best_of_m - sft_strong"),
        ({"contrasts": ["mcts_sft - ceiling"]}, "ceiling is not among the methods"),
        ({"contrasts": ["mcts_sft - mcts_sft"]}, "both sides are the same"),
        ({"contrasts": ["mcts_sft@base - sft_strong"]}, "give a variant on both sides"),
        ({"contrasts": ["mcts_sft - sft_strong", "sft_strong - mcts_sft"]}, "is asked twice"),
        (
            {"contrasts": ["mcts_sft - sft_strong", "mcts_sft@base - sft_strong@base"]},
            "mcts_sft@base - sft_strong@base: is asked twice",
        ),
        ({"contrasts": ["mcts_sft@hot - mcts_sft@base"]}, "there is no variant hot"),
        ({"methods": ["mcts_sft", "mcts_sft"]}, "'mcts_sft' is named twice"),
        ({"methods": ["mcts_stf"]}, "no world has mcts_stf"),
        ({"variants": {"base": {"seed": 3}}}, "seed is set for every cell; leave it out"),
        ({"variants": {"../up": {}}}, "names folders"),
        ({"variants": {"cold": {"search.num_simulation": 3}}}, "variant cold: .*num_simulation"),
        ({"variants": {"cold": {"seed.x": 3}}}, "variant cold: .*'seed'"),
        ({"worlds": ["nowhere"]}, "nowhere: no such file"),
        ({"worlds": ["miniature", "here/miniature.yaml"]}, "two are called miniature"),
        ({"panels": ["unseen"]}, "no world has unseen; known are test"),
        ({"panels": ["test", "tset"]}, "no world has tset; known are test"),
        (
            {
                "variants": {
                    "base": {},
                    "folds": {
                        "tasks.test_split": None,
                        "tasks.test": {"new": {"split": "dev", "count": 2}},
                    },
                },
                "contrasts": ["mcts_sft@base - mcts_sft@folds"],
            },
            "in miniature the variants have no test panel in common",
        ),
        ({"seeds": 0}, "seeds"),
        ({"name": "a--b"}, "names folders"),
    ],
)
def test_what_cannot_be_run_is_refused_by_its_place(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        list(read_plan(written(tmp_path, **changes)).cells())


def test_a_variant_without_the_key_s_section_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="variant odd"):
        list(read_plan(written(tmp_path, variants={"odd": {"nothing.there": 1}})).cells())


def test_chosen_names_are_checked(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    with pytest.raises(InvalidInput, match="--methods: 'eto' is not one of small's: mcts_sft"):
        plan.chosen(["eto"])


def test_a_method_that_one_world_lacks_is_left_out_there(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "w2stree" / "experiment" / "configs" / "miniature.yaml"
    record = yaml.safe_load(source.read_text())
    del record["mcts_sft"]
    (tmp_path / "less.yaml").write_text(yaml.safe_dump(record), encoding="utf-8")
    plan = read_plan(written(tmp_path, worlds=["miniature", "less.yaml"]))
    assert plan.left_out() == [("mcts_sft", "less")]
    assert {c.world for c in plan.cells() if c.method == "mcts_sft"} == {"miniature"}


@pytest.mark.parametrize("name", shipped(Grid))
def test_every_experiment_that_ships_can_be_run(name: str) -> None:
    """Its variants' keys are keys of its worlds, whose configurations have its methods."""
    grid = read_config(Grid, name)
    assert grid.name == name
    assert set(grid.methods) <= set(AGREED)
    known = {method.name for method in METHODS}
    missing = [*(set(grid.methods) - known), *(set(grid.worlds) - set(shipped_configs()))]
    if missing:
        pytest.skip(f"not there yet: {', '.join(sorted(missing))}")
    plan = read_plan(name)
    assert plan.left_out() == []
    assert plan.analyses_left_out() == []
    assert plan.chosen()


def test_the_page_of_results_has_every_experiment_with_its_question() -> None:
    page = (Path(__file__).parents[2] / "docs" / "results" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?); (\d+) \| .+ \|$", page, flags=re.MULTILINE)
    grids = {name: read_config(Grid, name) for name in shipped(Grid)}
    told = {
        name: (asks, re.findall(r"`(\w+)`", worlds), seeds) for name, asks, worlds, seeds in rows
    }
    assert told == {n: (g.question, g.worlds, str(g.seeds)) for n, g in grids.items()}


def test_the_claims_are_asked_as_they_are_written_down() -> None:
    """docs/results/claims.md says, before anything is run, what its experiment asks."""
    page = (Path(__file__).parents[2] / "docs" / "results" / "claims.md").read_text("utf-8")
    grid = read_config(Grid, "claims")
    rows = re.findall(r"^\| `(\w+)` − `(\w+)` \|", page, flags=re.MULTILINE)  # noqa: RUF001
    assert [f"{one} - {other}" for one, other in rows] == grid.contrasts
    prose = " ".join(page.split())
    place, beside = (
        re.search(r"on the panel `(\w+)` of each world, in the worlds (.*?) \(\[", prose),
        re.search(r"\(?((?:`\w+`(?:, | and )?)+) are run beside them", prose),
    )
    assert place is not None
    assert beside is not None
    assert [place[1]] == grid.panels
    assert re.findall(r"`(\w+)`", place[2]) == grid.worlds
    claimed = {name for row in rows for name in row}
    assert set(re.findall(r"`(\w+)`", beside[1])) == set(grid.methods) - claimed
    words = {3: "three", 7: "seven", 10: "Ten", 21: "twenty-one"}
    num_asked, num_worlds = len(grid.contrasts), len(grid.worlds)
    assert f"**Seeds.** {words[grid.seeds]}, 0 to {grid.seeds - 1}." in prose
    family = f"All {words[num_asked * num_worlds]}: {words[num_asked]} contrasts"
    assert f"{family} in {words[num_worlds]} worlds" in prose
