"""The table from results' files alone: what is paired, what is missing, what does not count."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

pytest.importorskip("pydantic")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from w2stree import InvalidInput
from w2stree.errors import RunDirectoryError
from w2stree.evaluation import crossed_estimate, gap_recovered, holm
from w2stree.experiment.changes import value_at
from w2stree.experiment.grid.cells import Cell
from w2stree.experiment.grid.plan import Plan, read_plan
from w2stree.experiment.grid.results import Results, digest, digest_read
from w2stree.experiment.grid.summary import summarise
from w2stree.report.grid import GridReport, write_grid

NUM_TASKS = 40
READS = ["search", "seeds.mcts_sft", "evaluate.success_threshold"]
MEANS = {"sft_weak": 0.3, "sft_strong": 0.5, "mcts_sft": 0.7, "ceiling": 0.9}


def plan_of(folder: Path, **changes: Any) -> Plan:
    file = folder / "small.yaml"
    record = {
        "name": "small",
        "question": "Does it?",
        "worlds": ["miniature"],
        "methods": ["mcts_sft", "sft_strong", "sft_weak", "ceiling"],
        "seeds": 3,
        "num_bootstrap": 200,
        "contrasts": ["mcts_sft - sft_strong", "mcts_sft - ceiling"],
    }
    file.write_text(yaml.safe_dump(record | changes), encoding="utf-8")
    return read_plan(str(file))


def returns_of(cell: Cell) -> list[float]:
    rng = np.random.default_rng([cell.seed, sum(map(ord, cell.method))])
    hardness = np.random.default_rng(1).normal(0, 0.2, NUM_TASKS)
    values = MEANS[cell.method] + hardness + rng.normal(0, 0.1, NUM_TASKS)
    return [round(float(value), 3) for value in np.clip(values, 0, 1)]


def write(plan: Plan, results: Results, cell: Cell, **changes: Any) -> Path:
    returns = returns_of(cell)
    panel = {
        "num_tasks": NUM_TASKS,
        "num_successes": sum(value >= 1 for value in returns),
        "num_errors": 0,
        "mean_steps": 4.0,
        "returns": returns,
    }
    record = {
        "tasks": "1f9c24a0b7d3",
        "success_threshold": 1.0,
        "panels": {"test": panel},
        "dev": {**panel, "avg_reward": 0.123},
        "reads": READS,
        "config_read": digest_read(plan.config(cell), READS),
        "stages": {cell.method: {"seconds": 3.0, "outputs": str(cell)}},
        "versions": {"torch": "2.13"},
        "training": {"num_steps": 100 + cell.seed},
        "seconds": 5.0,
    }
    return results.write(cell, record | changes, {"tasks": "1f9c24a0b7d3", "test": []})


def all_of(folder: Path, plan: Plan, *but: Cell) -> Results:
    results = Results(folder / "results" / "small")
    for cell in plan.cells():
        if cell not in but:
            write(plan, results, cell)
    return results


def table_of(folder: Path, report: GridReport) -> str:
    write_grid(folder / "results" / "small", report)
    return (folder / "results" / "small" / "table.md").read_text()


def names_in(figure: Path) -> list[str]:
    texts = ElementTree.parse(figure).getroot().iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()).strip() for text in texts]


def cells(plan: Plan, method: str, seeds: list[int]) -> Any:
    return np.array([returns_of(Cell("miniature", "base", seed, method)) for seed in seeds])


def test_numbers_are_those_of_the_cells_paired(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    report = summarise(plan, all_of(tmp_path, plan))
    (panel,) = report.panels
    rows = {row.method: row for row in panel.rows}
    assert list(rows) == ["sft_weak", "sft_strong", "mcts_sft", "ceiling"], "as every table"
    mcts, strong = (cells(plan, name, [0, 1, 2]) for name in ("mcts_sft", "sft_strong"))
    number = {"num_bootstrap": 200, "seed": 0}
    assert rows["mcts_sft"].over_strong == crossed_estimate(mcts - strong, **number)
    assert rows["mcts_sft"].avg_reward.mean == pytest.approx(mcts.mean())
    weak, top = (cells(plan, name, [0, 1, 2]) for name in ("sft_weak", "ceiling"))
    assert rows["mcts_sft"].pgr == gap_recovered(mcts, weak, top)
    assert rows["mcts_sft"].pgr_over_strong == gap_recovered(mcts, strong, top)
    assert rows["mcts_sft"].training == {"num_steps": 101}
    first, second = report.contrasts
    assert first.estimate == rows["mcts_sft"].over_strong
    assert first.estimate is not None
    assert second.estimate is not None
    asked = {0: first.estimate.p, 1: second.estimate.p}
    assert {0: first.p_holm, 1: second.p_holm} == holm(asked)
    assert (first.verdict, second.verdict) == ("gains", "loses")
    table = table_of(tmp_path, report)
    assert "12 of 12 cells" in table
    assert "What has not run yet" not in table
    assert "0.123" not in table, "the dev panel is in no table"
    summary = json.loads((tmp_path / "results/small/summary.json").read_text())
    assert summary["contrasts"][0]["verdict"] == "gains"
    assert {row["method"] for row in summary["dev"]} == set(MEANS)
    figures = {path.name for path in (tmp_path / "results/small").glob("*.svg")}
    assert figures == {"contrasts.svg", "rewards-miniature-test.svg"}
    for name in figures:
        root = ElementTree.parse(tmp_path / "results/small" / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg", "a file of its own"
    again = (tmp_path / "results/small/table.md").read_bytes()
    table_of(tmp_path, summarise(plan, Results(tmp_path / "results/small")))
    assert (tmp_path / "results/small/table.md").read_bytes() == again


def test_a_shared_stage_made_twice_is_told(tmp_path: Path) -> None:
    """Of another seed, or another variant, it is another stage."""
    plan = plan_of(tmp_path, variants={"base": {}, "more": {"search.num_simulations": 7}})
    results = Results(tmp_path / "results" / "small")

    def made_by(cell: Cell) -> str:
        if cell.seed == 2 and cell.variant == "base" and cell.method in ("mcts_sft", "ceiling"):
            return "of the other machine"
        return f"{cell.variant} {cell.seed}"

    for cell in plan.cells():
        stages = {
            name: {"seconds": 3.0, "outputs": outputs}
            for name, outputs in (("pretrain", "of all"), ("explore", made_by(cell)))
        }
        write(plan, results, cell, stages=stages)
    told = [note for note in summarise(plan, results).notes if "stand on" in note]
    assert len(told) == 1
    begins = "miniature, base: not all methods stand on the same outputs of explore (seed 2): "
    assert told[0].startswith(begins)
    plan = plan_of(tmp_path)
    assert not any("stand on" in n for n in summarise(plan, all_of(tmp_path, plan)).notes)


def of_two_variants(folder: Path) -> list[str]:
    """What a table says of copies, where the second variant's cells of seed 1 are of another
    machine, whose `sft_strong` is other; `tree` is other with every seed, as its settings are."""
    plan = plan_of(
        folder,
        variants={"base": {}, "more": {"search.num_simulations": 7}},
        contrasts=["mcts_sft@more - mcts_sft@base"],
    )
    results = Results(folder / "results" / "small")
    for cell in plan.cells():
        other = cell.variant == "more" and cell.seed == 1
        outputs = {"sft_strong": "there" if other else "here", "tree": cell.variant}
        stages = {name: {"seconds": 3.0, "outputs": made} for name, made in outputs.items()}
        write(plan, results, cell, stages=stages)
    return [note for note in summarise(plan, results).notes if "outputs" in note]


def test_a_stage_that_two_compared_variants_should_share_is_told(tmp_path: Path) -> None:
    """Of what their settings make another, nothing is."""
    pytest.importorskip("torch")
    (told,) = of_two_variants(tmp_path)
    assert told.startswith(
        "mcts_sft@more - mcts_sft@base on miniature: its sides do not stand on the same outputs "
        "of sft_strong (seed 1): made again, or on another machine. "
    )


def test_without_torch_it_is_not_told_which_variants_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [n for n in sys.modules if n.startswith("w2stree.") and "stage" in n]:
        monkeypatch.delitem(sys.modules, name)
    (told,) = of_two_variants(tmp_path)
    assert "not told without torch: pip install 'w2stree[train]'" in told


def test_what_is_missing_is_named_and_contrasts_take_common_seeds(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    lacking = [
        Cell("miniature", "base", 2, "mcts_sft"),
        *(Cell("miniature", "base", seed, "ceiling") for seed in range(3)),
    ]
    results = all_of(tmp_path, plan, *lacking)
    results.write_failure(lacking[0], "no path is left\nlower it")
    report = summarise(plan, results)
    first, second = report.contrasts
    assert list(first.seeds) == [0, 1]
    assert first.estimate is not None
    expected = cells(plan, "mcts_sft", [0, 1]) - cells(plan, "sft_strong", [0, 1])
    assert first.estimate.mean == pytest.approx(expected.mean())
    assert second.estimate is None
    assert first.p_holm == pytest.approx(2 * first.estimate.p), "the other one counts"  # type: ignore[operator]
    row = next(row for row in report.panels[0].rows if row.method == "mcts_sft")
    assert (row.pgr.value, row.pgr.reason) == (None, "ceiling is missing")
    table = table_of(tmp_path, report)
    assert "- mcts_sft on miniature, seed 2: failed: no path is left lower it" in table
    assert "- ceiling on miniature, seeds 0, 1, 2" in table
    assert "no seed has both | | | not run |" in table
    write(plan, results, lacking[0])
    assert results.failure(lacking[0]) is None, "done now"


def test_a_result_of_another_configuration_does_not_count(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    results = all_of(tmp_path, plan)
    other = plan_of(tmp_path, variants={"base": {"search.num_simulations": 7}})
    report = summarise(other, results)
    assert report.num_done == 0
    assert "another configuration" in report.not_run[0]
    unread = plan_of(tmp_path, variants={"base": {"weak.sft.num_epochs": 7}})
    assert summarise(unread, results).num_done == 12, "no stage of these reads that key"


def test_a_key_of_a_later_version_does_not_cost_the_results(tmp_path: Path) -> None:
    """It has its default in what was run before it was; another value is another configuration."""
    plan = plan_of(tmp_path)
    results = all_of(tmp_path, plan)
    cell = Cell("miniature", "base", 0, "mcts_sft")
    config = plan.config(cell)
    record = config.model_dump(mode="json")
    del record["search"]["exploration"]
    read = {key: value_at(record, key) for key in READS}
    write(plan, results, cell, config="0123456789ab", config_read=digest(read))
    assert summarise(plan, results).num_done == 11, "nothing says what it was run with"
    results.keep_config(cell, config)
    kept = next((tmp_path / "results" / "small" / "miniature").glob("config-*.json"))
    assert kept.name == f"config-{digest(config.record())}.json"
    older = kept.with_name("config-0123456789ab.json")
    older.write_text(json.dumps(record), encoding="utf-8")
    assert summarise(plan, results).num_done == 12
    record["search"]["num_simulations"] = 7
    older.write_text(json.dumps(record), encoding="utf-8")
    assert summarise(plan, results).num_done == 11
    older.write_text(json.dumps({**record, "gone": 1}), encoding="utf-8")
    assert summarise(plan, results).num_done == 11
    older.write_text("[", encoding="utf-8")
    with pytest.raises(RunDirectoryError, match=r"config-0123456789ab.json"):
        summarise(plan, results)


def test_variants_are_told_apart_and_compared(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        variants={"few": {"search.num_simulations": 7}, "many": {"search.num_simulations": 70}},
        contrasts=["mcts_sft@few - mcts_sft@many", "mcts_sft - sft_strong"],
    )
    report = summarise(plan, all_of(tmp_path, plan))
    assert [(c.variant, c.contrast) for c in report.contrasts] == [
        ("", "mcts_sft@few - mcts_sft@many"),
        ("few", "mcts_sft - sft_strong"),
        ("many", "mcts_sft - sft_strong"),
    ]
    assert report.contrasts[0].estimate.mean == 0  # type: ignore[union-attr]
    assert "## miniature, few: test, 40 tasks" in table_of(tmp_path, report)
    table_of(tmp_path, replace(report, contrasts=report.contrasts[:1]))
    figure = (tmp_path / "results" / "small" / "rewards-miniature-few-test.svg").read_text()
    assert figure.count("#3d84c6") == 1, "what is asked about stands out, across variants too"


def test_results_of_other_tasks_are_not_compared(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    results = all_of(tmp_path, plan)
    write(plan, results, Cell("miniature", "base", 1, "ceiling"), tasks="000000000000")
    with pytest.raises(
        InvalidInput, match=r"seed-1/ceiling.json is of other tasks than .*mcts_sft"
    ):
        summarise(plan, results)


def test_errors_count_as_0_and_are_told(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    results = all_of(tmp_path, plan)
    cell = Cell("miniature", "base", 0, "mcts_sft")
    returns = [None, *returns_of(cell)[1:]]
    panel = {"num_tasks": 40, "num_successes": 0, "num_errors": 1, "mean_steps": 4.0}
    write(plan, results, cell, panels={"test": {**panel, "returns": returns}})
    report = summarise(plan, results)
    row = next(row for row in report.panels[0].rows if row.method == "mcts_sft")
    expected = cells(plan, "mcts_sft", [0, 1, 2])
    expected[0, 0] = 0
    assert row.avg_reward.mean == pytest.approx(expected.mean())
    assert row.num_errors == 1
    assert "1 episodes ended in an error and count as 0." in report.notes
    assert not any("of 120 episodes" in note for note in report.notes), "fewer than in a hundred"
    returns = [None, None, *returns_of(cell)[2:]]
    write(plan, results, cell, panels={"test": {**panel, "num_errors": 2, "returns": returns}})
    told = "mcts_sft on miniature, base, test: 2 of 120 episodes ended in an error."
    assert told in summarise(plan, results).notes


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1}', '{"format": 2}'])
def test_a_torn_result_is_named(tmp_path: Path, content: str) -> None:
    plan = plan_of(tmp_path)
    results = all_of(tmp_path, plan)
    results.file(Cell("miniature", "base", 0, "mcts_sft")).write_text(content)
    with pytest.raises(RunDirectoryError, match=r"mcts_sft.json.*(delete it|put it back)"):
        summarise(plan, results)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (["panels", "test", "returns", 3], "1.0", r"panels.test.returns.3: is '1.0'; give a num"),
        (["panels", "test", "returns", 3], True, r"panels.test.returns.3: is true; give a number"),
        (["panels", "test", "returns", 3], float("nan"), r"panels.test.returns.3: is nan"),
        (["panels", "test", "returns", 3], 7.5, r"panels.test.returns.3: is 7.5"),
        (["panels", "test", "returns", 3], 10**400, r"panels.test.returns.3: is 1000"),
        (["panels", "test", "returns"], [0.5], r"panels.test: returns has 1; num_tasks is 40"),
        (["panels", "test", "num_errors"], -1, r"panels.test.num_errors: is -1"),
        (["panels"], {}, r"panels: has 0"),
        (["panels"], {"other": None}, r"panels.other: is null"),
        (["dev"], {"avg_reward": "high"}, r"dev.avg_reward: is 'high'"),
        (["success_threshold"], None, r"success_threshold: is null"),
        (["stages", "mcts_sft"], 3, r"stages.mcts_sft: is 3; give keys and values"),
        (["training", "num_steps"], [], r"training.num_steps: is \[\]"),
        (["reads"], [1], r"reads.0: is 1; give text"),
        (["seed"], 1, "is the result of miniature base seed 1 mcts_sft, and lies where that of"),
        (["method"], "ceiling", "is the result of miniature base seed 0 ceiling"),
    ],
)
def test_a_result_that_is_none_is_refused_by_file_and_key(
    tmp_path: Path, key: list[Any], value: Any, message: str
) -> None:
    plan = plan_of(tmp_path)
    results = all_of(tmp_path, plan)
    path = results.file(Cell("miniature", "base", 0, "mcts_sft"))
    record = json.loads(path.read_text())
    at = record
    for name in key[:-1]:
        at = at[name]
    at[key[-1]] = value
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(RunDirectoryError, match=rf"seed-0/mcts_sft.json: {message}"):
        summarise(plan, results)


def test_as_many_returns_as_tasks_in_every_result(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    results = all_of(tmp_path, plan)
    cell = Cell("miniature", "base", 1, "ceiling")
    panel = {"num_tasks": 1, "num_successes": 0, "num_errors": 0, "mean_steps": 4.0}
    write(plan, results, cell, panels={"test": {**panel, "returns": [0.5]}})
    with pytest.raises(InvalidInput, match=r"seed-1/ceiling.json: panels.test.returns: has 1"):
        summarise(plan, results)
    write(plan, results, cell, panels={"other": {**panel, "returns": [0.5]}})
    with pytest.raises(RunDirectoryError, match=r"ceiling.json: panels.test: is missing"):
        summarise(plan, results)


def test_a_variant_s_panels_are_its_own(tmp_path: Path) -> None:
    two = {"one": {"split": "dev", "count": 6}, "two": {"split": "test", "count": 6}}
    plan = plan_of(
        tmp_path,
        variants={"folds": {"tasks.test_split": None, "tasks.test": two}},
        contrasts=["mcts_sft - sft_strong"],
    )
    results = Results(tmp_path / "results" / "small")
    panel = {"num_tasks": NUM_TASKS, "num_successes": 0, "num_errors": 0, "mean_steps": 4.0}
    for cell in plan.cells():
        returns = returns_of(cell)
        panels = {name: {**panel, "returns": returns} for name in two}
        write(plan, results, cell, panels=panels)
    report = summarise(plan, results)
    assert [panel.panel for panel in report.panels] == ["one", "two"]
    assert [c.panel for c in report.contrasts] == ["one", "two"]
    assert "## miniature: two, 40 tasks" in table_of(tmp_path, report)
    names = names_in(tmp_path / "results" / "small" / "contrasts.svg")
    assert [name for name in names if "mcts" in name] == [
        "mcts_sft − sft_strong, miniature, one",  # noqa: RUF001
        "mcts_sft − sft_strong, miniature, two",  # noqa: RUF001
    ]
