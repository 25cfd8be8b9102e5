"""Analyses of an experiment of many runs: asked, measured for real, resumed, and told over seeds.

The slow one: pytest -m slow tests/experiment/test_grid_analyses.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from support.experiments import smallest, w2stree
from support.treasure_hunters import EXAMPLE, hunts

from w2stree import InvalidInput, write_trajectories
from w2stree.cli.app import main
from w2stree.errors import RunDirectoryError
from w2stree.evaluation import seed_mean
from w2stree.experiment.grid.cells import Measurement
from w2stree.experiment.grid.plan import Plan, read_plan
from w2stree.experiment.grid.results import Results, digest_read
from w2stree.experiment.grid.summary import summarise
from w2stree.report.grid import write_grid

pytestmark = pytest.mark.train

BIAS = {"methods": ["sft_weak", "sft_strong"]}
RANKED = {"analysis": "assumption", "after": "tree_dpo", "played": ["evaluate_sft_weak"]}
TREASURE = {"name": "gymnasium", "make": "own_environment:treasure", "max_steps": 4}


def written(folder: Path, **changes: Any) -> str:
    record = {"name": "small", "question": "?", "worlds": ["miniature"], "seeds": 3}
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(record | changes, sort_keys=False), encoding="utf-8")
    return str(file)


def test_analyses_come_after_all_cells_of_every_world_variant_and_seed(tmp_path: Path) -> None:
    plan = read_plan(
        written(
            tmp_path,
            methods=["sft_weak"],
            analyses={"bias": BIAS, "ranked": RANKED},
            variants={"base": {}, "no_dpo": {"tree_dpo": None}},
        )
    )
    units = [str(unit) for unit in plan.chosen()]
    assert units[:6] == [str(cell) for cell in plan.cells()]
    assert units[6:] == [
        *(f"miniature {v} seed {s} analysis bias" for v in ("base", "no_dpo") for s in range(3)),
        *(f"miniature base seed {s} analysis ranked" for s in range(3)),
    ], "without tree_dpo there is nothing to rank"
    assert {str(u) for u in plan.chosen(["sft_weak"])} == set(units[:6])
    assert [u.name for u in plan.chosen(analyses=["ranked"])] == ["analysis-ranked"] * 3
    assert len(plan.chosen(["sft_weak"], analyses=["ranked"])) == 6 + 3
    with pytest.raises(InvalidInput, match="--analyses: 'rank' is not one of small's: bias, ra"):
        plan.chosen(analyses=["rank"])
    alone = read_plan(written(tmp_path, analyses={"bias": BIAS}))
    assert not list(alone.cells())
    assert len(alone.chosen()) == 3


@pytest.mark.parametrize(
    ("analyses", "message"),
    [
        ({}, "methods: are missing; give methods to run, or analyses to measure"),
        ({"bais": BIAS}, r"bais: is none; give bais\.analysis, one of bias, divergence_cause, a"),
        ({"x": {"analysis": "bais"}}, r"x\.analysis: is 'bais'; give x\.analysis, one of bias"),
        ({"bias": {}}, r"analyses: bias\.methods: is missing"),
        ({"bias": {**BIAS, "weka": "x"}}, r"bias\.weka: no such key; did you mean weak\?"),
        ({"bias": {**BIAS, "weak": "eto"}}, "weak: eto is not among the methods"),
        ({"bias": {"methods": ["sft_weak", "sft_strong", "etoo"]}}, "no method etoo; did you mean"),
        ({"ranked": {**RANKED, "after": "random"}}, "ranked: random trains no model"),
        ({"ranked": {**RANKED, "played": ["explore"]}}, "explore: is no stage of held-out tasks"),
        ({"ranked": {**RANKED, "played": []}}, r"ranked\.played: has 0; give at least 1"),
        ({"ranked": {**RANKED, "after": "eto"}}, "analyses: ranked: reads eto, which no world has"),
        ({"../up": BIAS}, "names folders"),
        ({"divergence_cause": {"alpha": 1}}, r"divergence_cause\.alpha: no such key"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_its_place(
    tmp_path: Path, analyses: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_plan(written(tmp_path, analyses=analyses))


READS = ["seeds", "evaluate.success_threshold"]
ROWS = ("sft_weak", "sft_strong", "sft_weak - sft_strong")


def write(plan: Plan, results: Results, one: Measurement, **changes: Any) -> Path:
    numbers = {
        "sft_weak": {"lost": 0.1 * (1 + one.seed), "cut": 0.5},
        "sft_strong": {"lost": 0.1, "cut": None if one.seed else 0.25},
        "sft_weak - sft_strong": {"lost": 0.1 * one.seed, "cut": None},
        "never": {"lost": None, "cut": None},
    }
    record = {
        "asked": one.asked.record,
        "numbers": numbers,
        "figures": {"weak": "sft_weak"},
        "reads": READS,
        "config_read": digest_read(plan.config(one), READS),
        "stages": {"analysis-bias": {"seconds": 3.0, "outputs": str(one)}},
        "versions": {"torch": "2.13"},
        "seconds": 5.0,
    }
    return results.write_measured(one, record | changes)


def test_numbers_are_told_over_seeds(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, analyses={"bias": BIAS}))
    results = Results(tmp_path / "results")
    *_, last = units = list(plan.measurements())
    for one in units:
        write(plan, results, one)
    report = summarise(plan, results)
    assert (report.num_analyses, report.num_analyses_done, report.num_cells) == (3, 3, 0)
    (analysis,) = report.analyses
    assert analysis.columns == ["lost", "cut"]
    rows = {row.label: row.means for row in analysis.rows}
    assert tuple(rows) == ROWS, "a row of nothing is none"
    lost, cut = rows["sft_weak"]
    assert lost == seed_mean([0.1, 0.2, 0.30000000000000004])
    assert cut is not None
    assert cut.ci95 is None, "all alike"
    assert [m and m.num_seeds for m in rows["sft_strong"]] == [3, 1]
    write_grid(tmp_path / "results", report)
    table = (tmp_path / "results" / "table.md").read_text()
    assert "3 of 3 analyses" in table
    assert "cells (a method" not in table
    assert "## bias: miniature, 3 seeds" in table
    assert "| | lost | cut |" in table
    assert "| sft_weak | 0.200 [−0.048, 0.448] | 0.500 |" in table  # noqa: RUF001
    assert "| sft_strong | 0.100 | 0.250 (1 of 3 seeds) |" in table
    assert "| sft_weak - sft_strong | +0.100 [−0.148, +0.348] | – |" in table  # noqa: RUF001
    assert "carry no claim" in table
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["analyses"][0]["rows"][0]["means"][0]["mean"] == pytest.approx(0.2)
    results.file(last).unlink()
    results.write_failure(last, "no pair to rank\nplay more")
    report = summarise(plan, results)
    assert report.num_analyses_done == 2
    assert "analysis bias of miniature, seed 2: failed: no pair to rank play more" in report.not_run


def test_other_settings_or_another_configuration_do_not_count(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, analyses={"bias": BIAS}))
    results = Results(tmp_path / "results")
    for one in plan.measurements():
        write(plan, results, one)
    other = read_plan(written(tmp_path, analyses={"bias": {**BIAS, "before": "sft_weak"}}))
    report = summarise(other, results)
    assert report.num_analyses_done == 0
    assert "another configuration" in report.not_run[0]
    base = {"base": {"evaluate.success_threshold": 0.5}}
    changed = read_plan(written(tmp_path, analyses={"bias": BIAS}, variants=base))
    assert summarise(changed, results).num_analyses_done == 0
    unread = {"base": {"search.num_simulations": 7}}
    changed = read_plan(written(tmp_path, analyses={"bias": BIAS}, variants=unread))
    assert summarise(changed, results).num_analyses_done == 3, "no stage of these reads that key"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numbers": {"a": {"b": "c"}}}, r"analysis-bias\.json: numbers\.a\.b: is 'c'; give a num"),
        ({"numbers": {"a": {"b": float("nan")}}}, r"numbers\.a\.b: is nan; give a finite number"),
        ({"numbers": {}}, r"numbers: has 0; give at least 1"),
        ({"asked": None}, r"asked: is null; give keys and values"),
        ({"seed": 7}, r"is the result of miniature base seed 7 bias, and lies where that of min"),
        ({"name": "x"}, r"is the result of miniature base seed 0 x, and lies where that of minia"),
    ],
)
def test_a_changed_file_is_refused_with_its_key(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    plan = read_plan(written(tmp_path, analyses={"bias": BIAS}))
    results = Results(tmp_path / "results")
    path = write(plan, results, next(plan.measurements()))
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(RunDirectoryError, match=message):
        summarise(plan, results)


def test_a_mean_over_seeds_has_student_s_interval() -> None:
    found = seed_mean([0.1, 0.2, 0.3, 0.4])
    assert found.mean == pytest.approx(0.25)
    assert found.ci95 is not None
    half = 3.182446305284263 * 0.12909944487358055 / 2  # t(0.975; 3) sd / sqrt(4)
    assert found.ci95 == pytest.approx((0.25 - half, 0.25 + half))
    assert seed_mean([0.1]).ci95 is None
    assert seed_mean([0.1 + 0.2, 0.3]).ci95 is None, "rounding is no spread"
    for values in ([], [float("nan")]):
        with pytest.raises(InvalidInput, match="give finite numbers"):
            seed_mean(values)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a world that is learned in seconds; demonstrations are in a file."""
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parent))
    write_trajectories(tmp_path / "shown.jsonl", hunts(range(500, 515)))
    config = smallest(
        {**TREASURE, "num_processes": 1},
        {"demonstrations": 2, "explore": 2, "test": 2},
        demonstrations=str(tmp_path / "shown.jsonl"),
        seeds={"sft_weak": 0},
    )
    del config["ceiling"]  # the file has no demonstrations of explored tasks
    for role in ("weak", "strong"):
        config[role]["sft"] = {"num_epochs": 1, "learning_rate": 1.0e-3}
    (tmp_path / "treasure.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return tmp_path


def test_an_analysis_is_measured_once_its_stages_are_there_and_gone_on_with(world: Path) -> None:
    bias = {"methods": ["sft_weak", "random"], "before": "random"}
    options: dict[str, Any] = {"worlds": ["treasure.yaml"], "methods": ["sft_weak"], "seeds": 1}
    written(world, analyses={"bias": bias}, **options)
    ran = w2stree("experiment", "small.yaml", "--processes", "1", cwd=world)
    assert ran.returncode == 0, ran.stderr
    place = world / "results" / "small" / "treasure" / "base" / "seed-0"
    assert sorted(path.name for path in place.iterdir()) == ["analysis-bias.json", "sft_weak.json"]
    record = json.loads((place / "analysis-bias.json").read_text())
    assert record["asked"] == {"analysis": "bias", "weak": "sft_weak", **bias}
    assert record["figures"]["methods"]["random"]["num_episodes"] == 2
    assert {"evaluate_random", "evaluate_sft_weak", "analysis-bias"} <= set(record["stages"])
    assert not (world / "runs/experiments/treasure--seed-0/evaluate_sft_strong").exists()
    assert "## bias: treasure, 1 seed" in ran.stdout
    before = (place / "analysis-bias.json").stat().st_mtime_ns
    again = w2stree("experiment", "small.yaml", "--processes", "1", cwd=world)
    assert again.returncode == 0, again.stderr
    assert "running" not in again.stdout.partition("# small")[0], "all is done"
    assert (place / "analysis-bias.json").stat().st_mtime_ns == before
    assert "1 of 1 analyses" in again.stdout


@pytest.mark.slow
def test_all_of_them_are_measured_for_real(world: Path) -> None:
    """Of two seeds; one analysis fails, and costs no other one."""
    config = yaml.safe_load((world / "treasure.yaml").read_text())
    config["tasks"] |= {"explore": 6, "test": 12}
    for role in ("weak", "strong"):
        config[role]["sft"] = {"num_epochs": 30, "learning_rate": 5.0e-3}
    config["continuations"] = {"per_task": 2}
    (world / "treasure.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    ranked = {"analysis": "assumption", "after": "tree_dpo"}
    written(
        world,
        worlds=["treasure.yaml"],
        seeds=2,
        analyses={
            "divergence_cause": {},
            "held_out": {**ranked, "played": ["explore_held_out"]},
            "tested": {**ranked, "played": ["evaluate_random"], "max_rows": 5},
            "same": {**ranked, "played": ["evaluate_sft_weak"]},  # one run a task: no pair
            "bias": {"methods": ["sft_weak", "sft_strong", "tree_dpo"]},
        },
    )
    ran = w2stree("experiment", "small.yaml", cwd=world)
    assert ran.returncode == 1, ran.stderr
    summary = json.loads((world / "results" / "small" / "summary.json").read_text())
    assert [a["name"] for a in summary["analyses"]] == ["divergence_cause", "held_out", "bias"]
    assert all(analysis["seeds"] == [0, 1] for analysis in summary["analyses"])
    table = (world / "results" / "small" / "table.md").read_text()
    for name in ("same", "tested"):  # a line a seed: reasons name the run
        for seed in range(2):
            assert f"analysis {name} of treasure, seed {seed}: failed: " in table
    assert "no two held-out runs of a task (evaluate_sft_weak) part by an action" in table
    run = world / "runs/experiments/treasure--seed-0"
    found = w2stree("analyse", "assumption", str(run), "--after", "tree_dpo", cwd=world)
    assert found.returncode == 0, found.stderr
    cell = world / "results/small/treasure/base/seed-0/analysis-held_out.json"
    kept = json.loads((run / "analyses" / "assumption.json").read_text())
    assert kept == json.loads(cell.read_text())["figures"], "as the command measures it"


def test_a_report_alone_does_not_choose_analyses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, analyses={"bias": BIAS})
    given = ["--report-only", "--analyses", "bias", "--out", str(tmp_path / "results")]
    assert main(["experiment", file, *given]) == 2
    assert "--report-only runs nothing: leave out --analyses" in capsys.readouterr().err
