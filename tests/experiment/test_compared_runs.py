"""Several runs in one table: over seeds where nothing else differs, apart or refused elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.cooking_runs import play

from w2stree import write_trajectories
from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.compared_runs import compare_runs
from w2stree.experiment.config import load_config
from w2stree.experiment.parts import Parts
from w2stree.experiment.report_again import report_again
from w2stree.experiment.run_json import write_json
from w2stree.report.grid import grid_table
from w2stree.rollouts.task_choice import Chosen

SKILLS = {"sft_weak": 0.4, "sft_strong": 0.5, "tree_dpo": 0.7, "ceiling": 0.95}


def make_run(
    folder: Path, seed: int, *overrides: str, first_task: int = 0, **skills: float
) -> Path:
    """A run of 40 test tasks as its files are, each method playing by its skill."""
    given = [f"seed={seed}", "tasks.test=40", "evaluate.num_bootstrap=200", *overrides]
    config = load_config("quickstart", given)
    write_json(folder_of(folder) / "config.json", config.model_dump(mode="json"))
    tasks = {f"t/{first_task + i}": f"opening {first_task + i}" for i in range(40)}
    none = Chosen({}, num_repeated=0)
    parts = Parts(none, none, {"test": Chosen(tasks, num_repeated=0)})
    write_json(folder_of(folder / "tasks") / "tasks.json", parts.to_record())
    finish(folder, "tasks")
    for number, (method, skill) in enumerate((skills or SKILLS).items()):
        stage = folder_of(folder / f"evaluate_{method}")
        played = play(list(tasks), skill, num_runs=1, seed=100 * seed + number)
        write_trajectories(stage / "trajectories.jsonl", played)
        finish(folder, stage.name)
    return folder


def folder_of(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def finish(folder: Path, stage: str, **more: Any) -> None:
    of = {"stage": stage, "inputs": {}, "outputs": {}, "seconds": 1.0, "metrics": {}}
    write_json(folder / stage / "manifest.json", {**of, **more})


def test_seeds_of_one_configuration_are_one_table(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"s{seed}", seed) for seed in range(3)]
    report = compare_runs(runs)
    (panel,) = report.panels
    assert (panel.world, panel.panel, panel.num_tasks) == ("quickstart", "test", 40)
    rows = {row.method: row for row in panel.rows}
    assert list(rows) == ["sft_weak", "sft_strong", "tree_dpo", "ceiling"]
    alone = [compare_runs([run]).panels[0].rows for run in runs]
    means = [next(r.avg_reward.mean for r in of if r.method == "tree_dpo") for of in alone]
    assert rows["tree_dpo"].avg_reward.mean == pytest.approx(sum(means) / 3)
    assert rows["tree_dpo"].seeds == [0, 1, 2]
    assert rows["tree_dpo"].over_strong is not None and rows["sft_strong"].over_strong is None
    assert rows["tree_dpo"].over_strong.num_seeds == 3
    assert "| Strong + TreeDPO (`tree_dpo`) | 3 |" in grid_table(report, figures=False)
    assert ".svg" not in grid_table(report, figures=False)


def test_a_method_that_one_run_lacks_is_told_and_not_made_up(tmp_path: Path) -> None:
    whole = make_run(tmp_path / "a", 0)
    part = make_run(tmp_path / "b", 1, sft_weak=0.4, tree_dpo=0.7)
    report = compare_runs([whole, part])
    rows = {row.method: row for row in report.panels[0].rows}
    assert rows["sft_strong"].seeds == [0] and rows["tree_dpo"].seeds == [0, 1]
    assert rows["tree_dpo"].over_strong is not None
    assert rows["tree_dpo"].over_strong.num_seeds == 1
    assert report.not_run == [f"sft_strong, ceiling in {part}"]


def test_what_runs_share_is_told(tmp_path: Path) -> None:
    """Intervals are of independent trainings."""
    one = make_run(tmp_path / "a", 0, "seeds.explore=7")
    other = make_run(tmp_path / "b", 1, "seeds.explore=7")
    (note,) = [note for note in compare_runs([one, other]).notes if "one seed in all" in note]
    assert note.startswith(f"{one}, {other}: explore drew with one seed in all of them")
    other = make_run(tmp_path / "c", 0, "seeds.tree_dpo=7")
    one = make_run(tmp_path / "d", 0)
    report = compare_runs([one, other])
    assert any("what they share counts twice" in note for note in report.notes)
    apart = [make_run(tmp_path / f"s{seed}", seed) for seed in range(2)]
    assert not any("share" in note or "in all of" in note for note in compare_runs(apart).notes)


def test_other_configurations_stand_apart_with_the_keys_that_differ(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", 0)
    other = make_run(tmp_path / "b", 1, "tree_dpo.beta=0.5")
    report = compare_runs([one, other])
    assert [len(panel.rows[0].seeds) for panel in report.panels] == [1, 1]
    assert {panel.world for panel in report.panels} == {f"quickstart ({r})" for r in (one, other)}
    assert f"{other}: not pooled with {one}" in report.notes[0]
    assert "tree_dpo.beta: 0.1 there, 0.5 now" in report.notes[0]


def test_results_of_a_configuration_before_are_not_told_as_of_this_one(tmp_path: Path) -> None:
    """A run that took another configuration and was interrupted has results of both."""
    run = make_run(tmp_path / "a", 0)
    before = load_config("quickstart", ["seed=0", "tree_dpo.beta=0.5"]).model_dump(mode="json")
    folder_of(run / "tree_dpo")
    finish(run, "tree_dpo", config=before)
    told = r"tree_dpo is of another configuration than .* \(tree_dpo.beta: 0.5 there, 0.1 now\)"
    for again in (lambda: compare_runs([run]), lambda: report_again(run, tmp_path / "out")):
        with pytest.raises(RunDirectoryError, match=told):
            again()


def test_what_must_not_be_pooled_is_refused(tmp_path: Path) -> None:
    one = make_run(tmp_path / "a", 0)
    with pytest.raises(InvalidInput, match="are one directory; give it once"):
        compare_runs([one, tmp_path / "a" / ".." / "a"])
    with pytest.raises(InvalidInput, match=r"one configuration and one seed \(0\): counted twice"):
        compare_runs([one, make_run(tmp_path / "again", 0)])
    with pytest.raises(InvalidInput, match=r"played other test tasks \(test\)"):
        compare_runs([one, make_run(tmp_path / "others", 1, first_task=7)])
    with pytest.raises(RunDirectoryError, match="no such directory"):
        compare_runs([one, tmp_path / "nothing"])
    (tmp_path / "begun").mkdir()
    quickstart = load_config("quickstart").model_dump(mode="json")
    write_json(tmp_path / "begun" / "config.json", quickstart)
    with pytest.raises(InvalidInput, match="no method was tested here yet"):
        compare_runs([one, tmp_path / "begun"])
