"""The whole method in miniature: every stage real, from demonstrations to the report."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("textworld_express")
pytest.importorskip("matplotlib")

from support.experiments import stages_run

from w2stree.experiment.diagnosis.diagnose import diagnose
from w2stree.experiment.kept_config import held_run
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.journal import read_journal

pytestmark = [pytest.mark.train, pytest.mark.java]

Command = Callable[..., subprocess.CompletedProcess[str]]


def w2stree(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "w2stree", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1800)


@dataclass(frozen=True)
class Interrupted:
    """What Ctrl-C left of a run while its environments were starting or playing, and what it
    said."""

    cwd: Path
    status: int
    errors: str
    left: frozenset[str]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    cwd = tmp_path_factory.mktemp("work")
    folder = cwd / "runs" / "miniature"
    run = [sys.executable, "-m", "w2stree", "run", "miniature"]
    running = subprocess.Popen(
        run, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (folder / ".random_play.partial").exists():
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)
    return Interrupted(cwd, running.returncode, errors, frozenset(p.name for p in folder.iterdir()))


@pytest.fixture(scope="module")
def finished(interrupted: Interrupted) -> Path:
    """The same command goes on with it, to the end."""
    ran = w2stree("run", "miniature", cwd=interrupted.cwd)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[:3] == ["tasks", "done", "before"]
    assert "(`mcts_sft`) |" in ran.stdout
    assert "\r" not in ran.stdout + ran.stderr, "this is a log"
    return interrupted.cwd / "runs" / "miniature"


def test_an_interrupt_leaves_a_run_that_goes_on(interrupted: Interrupted, finished: Path) -> None:
    assert interrupted.status == 130
    assert "interrupted; run the same command again to go on" in interrupted.errors
    assert "Traceback" not in interrupted.errors
    assert "demonstrations" in interrupted.left
    assert "report" not in interrupted.left
    assert not [name for name in interrupted.left if name.endswith(".partial")]
    assert (finished / "report").is_dir()


def test_the_report_has_a_row_for_every_method(finished: Path) -> None:
    report = json.loads((finished / "report" / "report.json").read_text())
    rows = {row["method"]: row for row in report["rows"]}
    assert {"sft_weak", "sft_strong", "tree_dpo", "mcts_sft"} <= set(rows)
    for row in rows.values():
        assert row["num_tasks"] == 6
        assert row["num_errors"] == 0
        assert row["ci95"][0] <= row["avg_reward"] <= row["ci95"][1]
        assert row["diff_to_sft_weak"].keys() == {"mean", "ci95"}
    assert rows["sft_weak"]["diff_to_sft_weak"]["mean"] == 0.0
    html = (finished / "report" / "report.html").read_text()
    assert "<svg" in html
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_the_doctor_finds_its_figures(finished: Path) -> None:
    """Each rule has what it measures in what the pipeline writes today, but for those that want
    more tasks, rows, steps or contrasts than a miniature has, or a stage of their own."""
    too_small = {"below-sft", "half-accuracy", "displaced", "thin-support"}
    not_run = {"held-out-half", "not-causal"}
    assert set(diagnose(finished).not_asked) == too_small | not_run


def test_no_two_tasks_of_the_run_open_alike(finished: Path) -> None:
    parts = {
        stage: read_trajectories(finished / stage / "trajectories.jsonl")
        for stage in ("demonstrations", "explore", "evaluate_mcts_sft", "random_play")
    }
    openings = {stage: {t.prompt[-1].content for t in played} for stage, played in parts.items()}
    assert [len(opened) for opened in openings.values()] == [6, 4, 6, 8]
    assert len(set.union(*openings.values())) == 24
    counts = json.loads((finished / "report" / "report.json").read_text())["tasks"]
    assert {name: part["num_tasks"] for name, part in counts.items()} == {
        "tasks.test.test": 6, "tasks.demonstrations": 6, "tasks.explore": 4, "strong.pretrain": 8
    }  # fmt: skip


def test_six_tasks_are_too_few_for_a_verdict(finished: Path) -> None:
    report = json.loads((finished / "report" / "report.json").read_text())
    for verdicts in report["verdicts"]["test"].values():
        assert set(verdicts.values()) == {"too few to tell"}
    for name in ("report.md", "report.html"):
        assert "gains over" not in (finished / "report" / name).read_text()


def test_explored_turns_keep_their_sampled_tokens(finished: Path) -> None:
    explored = read_trajectories(finished / "explore" / "trajectories.jsonl")
    assert len(explored) == 4 * 3
    for trajectory in explored:
        origin = trajectory.origin
        assert None not in (origin.temperature, origin.top_p, origin.seed, origin.sample_index)
        for step in trajectory.steps:
            assert step.response.startswith("Thought:")
            assert step.token_ids is not None
            assert step.logprobs is not None
            assert len(step.token_ids) == len(step.logprobs)


def test_the_reference_is_the_weak_model(finished: Path) -> None:
    manifest = json.loads((finished / "tree_dpo" / "manifest.json").read_text())
    assert manifest["config"]["tree_dpo"]["reference"] == "weak"
    assert manifest["metrics"]["num_used_rows"] > 0
    assert abs(manifest["metrics"]["loss_before"] - math.log(2)) > 1e-3, "policy is not reference"


def test_every_step_of_a_training_is_kept(finished: Path) -> None:
    for stage in ("sft_weak", "tree_dpo"):
        metrics = json.loads((finished / stage / "manifest.json").read_text())["metrics"]
        lines = (finished / stage / "losses.jsonl").read_text().splitlines()
        steps = [json.loads(line) for line in lines]
        assert [step["step"] for step in steps] == list(range(1, int(metrics["num_steps"]) + 1))
        assert all(math.isfinite(step["loss"]) for step in steps)


def test_a_rerun_does_nothing_and_force_redoes_one_stage(finished: Path, command: Command) -> None:
    cwd = finished.parent.parent
    patience = ("environment.limits.deadline_s=77", "explore.max_attempts=5")
    again = command("run", "miniature", *patience, cwd=cwd)
    assert again.returncode == 0
    assert stages_run(again.stdout) == []
    recorded = json.loads((finished / "config.json").read_text())
    assert recorded["environment"]["limits"]["deadline_s"] == 77
    assert recorded["explore"]["max_attempts"] == 5
    # What an exploration is known to lack is said by every later call, too.
    manifest = finished / "explore" / "manifest.json"
    explored = json.loads(manifest.read_text())
    assert explored["metrics"]["num_failed"] == 0
    manifest.write_text(json.dumps(explored | {"metrics": {"num_failed": 2}}))
    forced = command("run", "miniature", "--force", "report", cwd=cwd)
    assert stages_run(forced.stdout) == ["report"]
    assert forced.returncode == 1
    assert "2 samples of the exploration ended in errors alone" in forced.stderr
    manifest.write_text(json.dumps(explored))


def test_another_configuration_is_refused_in_the_same_directory(
    finished: Path, command: Command
) -> None:
    refused = command("run", "miniature", "seed=1", cwd=finished.parent.parent)
    assert refused.returncode == 2
    assert refused.stderr.startswith("w2stree: runs/miniature was made by another configuration")
    assert "seed: 0 there, 1 now" in refused.stderr


def test_a_changed_key_redoes_what_reads_it_and_the_rest_is_shared(finished: Path) -> None:
    cwd = finished.parent.parent
    arguments = ("run", "miniature", "tree_dpo.beta=0.3", "--run-dir", "runs/second")
    ran = w2stree(*arguments, "--share", "runs", cwd=cwd)
    assert ran.returncode == 0, ran.stderr
    said = [line.split(maxsplit=1) for line in ran.stdout.splitlines()]
    stages = {path.parent.name for path in finished.glob("*/manifest.json")}
    taken = {line[0] for line in said if line[1:] == ["taken from runs/miniature"]}
    assert taken == stages - {"tree_dpo", "evaluate_tree_dpo", "report"}
    shutil.rmtree(cwd / "runs" / "second" / "tree")  # its links; the other run has its own
    assert (finished / "tree" / "weak.forest").is_file()
    again = w2stree(*arguments, "name=third", "evaluate.num_bootstrap=50", "--redo", cwd=cwd)
    assert stages_run(again.stdout) == ["tree", "report"], "the tree comes out alike"
    assert (
        "report                   to be redone: evaluate.num_bootstrap: 500 there, 50 now; name: "
        "'miniature' there, 'third' now (took "
    ) in again.stdout


def test_a_second_process_is_refused_before_an_environment_starts(tmp_path: Path) -> None:
    with held_run(tmp_path / "run", {"seed": 5}):
        before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
        refused = w2stree("run", "miniature", "--run-dir", "run", cwd=tmp_path)
        assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    assert refused.returncode == 2
    assert refused.stderr.startswith("w2stree: run is in use by process ")


def test_the_tree_command_reads_what_explore_wrote(finished: Path, command: Command) -> None:
    summary = command("tree", str(finished / "explore"), cwd=finished)
    assert summary.returncode == 0
    assert "12" in summary.stdout
    task_id = read_trajectories(finished / "explore" / "trajectories.jsonl")[0].task_id
    drawn = command("tree", str(finished / "explore"), "--task", task_id, cwd=finished)
    assert task_id in drawn.stdout
    missing = command("tree", str(finished / "explore"), "--task", "nope", cwd=finished)
    assert missing.returncode == 2
    assert "no task begins with 'nope'" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nonsense"), "no such file, and no shipped configuration"),
        (("run", "miniature", "environment.game=chess"), "game is 'chess'; TextWorldExpress has"),
        (
            ("run", "miniature", "tasks.explore=1000"),
            "1006 tasks of one fold are asked for; cookingworld has 1000",
        ),
        (("run", "miniature", "--force", "sleep"), "--force sleep: no such stage"),
        (("tree", "absent.jsonl"), "absent.jsonl"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(
    tmp_path: Path, arguments: tuple[str, ...], message: str, command: Command
) -> None:
    ran = command(*arguments, cwd=tmp_path)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_overrides_may_follow_options(tmp_path: Path, command: Command) -> None:
    ran = command("run", "miniature", "--run-dir", "here", "environment.game=chess", cwd=tmp_path)
    assert "game is 'chess'" in ran.stderr
    typo = command("run", "miniature", "--run-dir", "here", "--seed", "1", cwd=tmp_path)
    assert typo.returncode == 2
    assert "No such option: --seed" in typo.stderr


@pytest.mark.slow
def test_killing_a_run_while_it_explores_loses_no_episode(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "w2stree", "run", "miniature", "tasks.explore=12"]
    killed = subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.DEVNULL)
    run_dir = tmp_path / "runs" / "miniature"
    while not _explored(run_dir):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    acknowledged = _explored(run_dir)
    assert not (run_dir / "explore").exists()
    again = subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert again.stdout is not None
    for line in again.stdout:
        if line.split()[:2] == ["explore", "finished"]:
            break
    again.send_signal(signal.SIGINT)  # the stages after it are not looked at
    again.communicate(timeout=300)
    explored = [t.to_json() for t in read_trajectories(run_dir / "explore" / "trajectories.jsonl")]
    assert len(explored) == 12 * 3
    assert acknowledged <= set(explored)
    assert list(run_dir.glob(".explore-*")) == []


def _explored(run_dir: Path) -> set[str]:
    """The episodes in the exploring stage's journal."""
    return {
        t.to_json()
        for journal in run_dir.glob(".explore-*.journal")
        for t in read_journal(journal).trajectories
    }
