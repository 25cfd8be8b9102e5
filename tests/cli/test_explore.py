"""`w2stree explore` on a real game: its run directory, resuming, killing, damage, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textworld_express")
pytest.importorskip("pydantic")

from bench.faults import kills
from w2stree import Merging
from w2stree.cli.app import main
from w2stree.errors import InvalidInput
from w2stree.experiment.config import shipped_configs
from w2stree.experiment.config.exploration import ExplorationConfig
from w2stree.experiment.config.reading import read_config
from w2stree.experiment.kept_config import held_run
from w2stree.rollouts import branching
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.journal import read_journal

pytestmark = pytest.mark.java

SMALL = ("tasks.count=2", "environment.num_processes=2", "branching=null")


def w2stree(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "w2stree", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def explore(run_dir: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return w2stree("explore", "textworld_random", "--run-dir", run_dir, *SMALL, *overrides)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stopped at its budget and was gone on with."""
    run_dir = tmp_path_factory.mktemp("work") / "run"
    short = explore(run_dir, "budget.episodes=5")
    assert short.returncode == 0, short.stderr
    assert "stopped: the budget of 5 episodes is spent; the same command" in short.stdout
    assert len(read_trajectories(run_dir)) == 5
    whole = explore(run_dir, "budget.episodes=100")
    assert whole.returncode == 0, whole.stderr
    assert "12/12 episodes" in whole.stderr
    header, *rows = whole.stdout.splitlines()
    assert header.split() == [
        "task", "success", "return", "errors", "truncated", "unparsed", "tokens", "diversity"
    ]  # fmt: skip
    tasks = json.loads((run_dir / "tasks.json").read_text())["openings"]
    assert len(set(tasks.values())) == 2
    assert {row.split()[0] for row in rows} == {*tasks, "all", "journal:"}
    assert rows[0].split()[1].endswith("/6")
    return run_dir


def test_a_run_has_its_configuration_and_its_journal(run_dir: Path) -> None:
    names = ["config.json", "episodes.journal", "tasks.json"]
    hidden = [".episodes.journal.times", ".lock"]
    assert sorted(p.name for p in run_dir.iterdir()) == [*hidden, *names]
    config = json.loads((run_dir / "config.json").read_text())
    assert config["budget"]["episodes"] == 100
    assert len(config["samplings"]) == 6
    recorded = read_journal(run_dir / "episodes.journal").trajectories
    keys = {(t.task_id, t.origin.sample_index, t.origin.attempt) for t in recorded}
    assert len(keys) == len(recorded) == 12


def test_branches_are_planned_by_the_rule_of_merging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Merging] = []
    monkeypatch.setattr(
        branching, "plan_branches", lambda *_, merging, **__: asked.append(merging) or []
    )
    settings = [
        "tasks.count=1",
        "environment.num_processes=2",
        "merge.normalize_observation=sort_words",
    ]
    assert main(["explore", "textworld_random", "--run-dir", str(tmp_path / "run"), *settings]) == 0
    assert asked == [Merging(normalize_observation="sort_words")]


def test_rounds_of_branching_are_chosen_by_what_was_found_before_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that its budget stops within the second round goes on as one that was never stopped."""
    known: list[set[int]] = []
    plan = branching.plan_branches

    def watched(runs: list[Any], *arguments: Any, **options: Any) -> Any:
        known.append({run.origin.sample_index for run in runs})
        return plan(runs, *arguments, **options)

    monkeypatch.setattr(branching, "plan_branches", watched)
    settings = [
        *("tasks.count=2", "environment.num_processes=1"),
        "branching={episodes_per_task: 3, criterion: informative_pairs, num_rounds: 2}",
    ]

    def explored(name: str, *overrides: str) -> dict[tuple[str, int | None], Any]:
        run_dir = tmp_path / name
        command = ["explore", "textworld_random", "--run-dir", str(run_dir), *settings]
        assert main([*command, *overrides]) == 0
        runs = read_trajectories(run_dir)
        return {(t.task_id, t.origin.sample_index): t.steps for t in runs}

    whole = explored("whole")
    assert known == [set(range(6)), set(range(8))]
    assert max(sample for _, sample in whole) == 8
    stopped = explored("stopped", f"budget.episodes={len(whole) - 1}")
    assert len(stopped) == len(whole) - 1
    assert explored("stopped") == whole


def test_the_tree_command_reads_it(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", str(run_dir)]) == 0
    assert "trajectories" in capsys.readouterr().out
    task_id, *_ = json.loads((run_dir / "tasks.json").read_text())["openings"]
    assert main(["tree", str(run_dir), "--task", task_id]) == 0
    assert task_id in capsys.readouterr().out


def test_another_configuration_is_refused(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explore", "textworld_random", "--run-dir", str(run_dir), *SMALL]
    assert main([*command, "seed=1"]) == 2
    told = capsys.readouterr().err
    assert "was made by another configuration (" in told
    assert "seed: 0 there, 1 now" in told


def test_a_second_process_is_refused_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held_run(tmp_path / "run", {"seed": 5}):
        before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
        assert main(["explore", "textworld_random", "--run-dir", str(tmp_path / "run")]) == 2
        assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    assert f"run is in use by process {os.getpid()} on " in capsys.readouterr().err


def test_tasks_are_chosen_anew_until_one_is_played(tmp_path: Path) -> None:
    command = ("explore", "textworld_random", "--run-dir", tmp_path / "run", *SMALL[1:])
    for count in (3, 2):
        ran = w2stree(*command, f"tasks.count={count}", "budget.wall_seconds=1e-9")
        assert ran.returncode == 1, "nothing was finished"
        assert f"{6 * count} of {6 * count} samples remain to be played" in ran.stdout
        assert not read_journal(tmp_path / "run" / "episodes.journal").trajectories
        kept = json.loads((tmp_path / "run" / "tasks.json").read_text())["openings"]
        assert len(kept) == count


def test_a_model_that_is_not_there_starts_no_game(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = f"policy={{name: transformers, model: {tmp_path}/none}}"
    command = ["explore", "textworld_random", "--run-dir", str(tmp_path / "run"), *SMALL]
    assert main([*command, absent, "samplings=[{}]"]) == 2
    told = capsys.readouterr().err
    assert "none: no config.json; give the directory of a causal LM" in told
    assert not (tmp_path / "run").exists()


def test_a_damaged_journal_needs_salvage_and_its_episode_is_played_again(run_dir: Path) -> None:
    journal = run_dir / "episodes.journal"
    whole = journal.read_bytes()
    before = sorted(t.to_json() for t in read_trajectories(run_dir))
    altered = bytearray(whole)
    altered[len(whole) // 2] ^= 4
    journal.write_bytes(altered)
    refused = explore(run_dir)
    assert refused.returncode == 2
    assert "episodes.journal: damaged at byte" in refused.stderr
    assert journal.read_bytes() == altered
    salvaged = explore(run_dir, "--salvage")
    assert salvaged.returncode == 0, salvaged.stderr
    assert "went on without 1 damaged places" in salvaged.stderr
    assert (run_dir / "episodes.journal.damaged").read_bytes() == altered
    assert sorted(t.to_json() for t in read_trajectories(run_dir)) == before


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "w2stree", "explore", "textworld_random"]
    command += [
        "--run-dir",
        str(tmp_path / "run"),
        "tasks.count=500",
        "tasks.distinct=false",
        *SMALL[1:],
    ]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    journal = tmp_path / "run" / "episodes.journal"
    while not (journal.exists() and journal.stat().st_size > 20_000):
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 130
    assert "interrupted; run the same command again to go on" in errors
    assert "Traceback" not in errors
    contents = read_journal(journal)
    assert contents.num_torn_bytes == 0
    num_recorded = len(contents.trajectories)
    assert num_recorded > 0
    assert f"w2stree: {num_recorded} episodes are kept in {journal}\n" in errors
    more = w2stree(*command[3:], f"budget.episodes={num_recorded + 3}")
    assert more.returncode == 0, more.stderr
    assert read_journal(journal).trajectories[:num_recorded] == contents.trajectories
    assert len(read_journal(journal).trajectories) == num_recorded + 3


def test_killed_drivers_lose_and_repeat_nothing(tmp_path: Path) -> None:
    result = kills.kill_and_resume(tmp_path, num_kills=3, seed=1, num_tasks=20)
    assert result.num_kills == 3
    assert result.num_lost == result.num_duplicated == result.num_different == 0
    assert result.num_orphans == 0
    assert result.num_acknowledged > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["samplings=five"], "samplings: is 'five'; give a list"),
        (["policy.name=oracle"], "policy.name: is 'oracle'; use one of transformers"),
        (["tasks.count=0"], "tasks.count"),
        (["tasks.count=2000"], "2000 tasks of train are asked for; it has 1000"),
        (["branching={episodes_per_task: 1}", "samplings=[{temperature: 0}]"], "branching needs a"),
        (
            ["branching={episodes_per_task: 2, num_rounds: 3}"],
            "num_rounds is 3, episodes",
        ),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explore", "textworld_random", "--run-dir", str(tmp_path / "run")]
    assert main([*command, *overrides]) == 2
    assert message in capsys.readouterr().err


def test_shipped_configurations_are_found_by_kind() -> None:
    assert shipped_configs() == [
        "miniature",
        "paper_alfworld",
        "paper_scienceworld",
        "paper_webshop",
        "quickstart",
        "qwen_24gb",
        "qwen_8gpu",
        "twc_rooms",
        "twc_rooms_three",
        "twc_three",
        "twc_two",
    ]
    assert shipped_configs(ExplorationConfig) == ["textworld_random"]
    assert read_config(ExplorationConfig, "textworld_random").samplings[5].model == "base"
    with pytest.raises(InvalidInput, match=r"shipped configuration .*\(textworld_random\)"):
        read_config(ExplorationConfig, "quickstart")
