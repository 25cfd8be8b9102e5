"""The implicit reward's accuracy on held-out tasks, of a small run with real models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trl")
pytest.importorskip("pydantic")

from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree import InvalidInput, Message, Trajectory, build_forest, write_trajectories
from w2stree.errors import RunDirectoryError
from w2stree.experiment.analyses.assumption import assumption
from w2stree.experiment.parts import Parts
from w2stree.experiment.run_json import write_json
from w2stree.rollouts.task_choice import Chosen
from w2stree.rows.rows import preference_rows
from w2stree.training.implicit_reward import is_right, side_logprobs
from w2stree.training.models import save_model

pytestmark = pytest.mark.train
MODELS = {"sft_strong": 0, "sft_weak": 1, "tree_dpo": 2}


def runs(*tasks: str) -> list[Trajectory]:
    half = replace(WORSE, total_return=0.4)
    return [
        replace(t, task_id=task, prompt=(Message("user", f"Cook in room {task}."),))
        for task in tasks
        for t in (GOOD, BAD, half)
    ]


def chosen(*tasks: str) -> Chosen:
    return Chosen({task: f"Cook in room {task}." for task in tasks})


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    write_json(
        tmp_path / "config.json", {"max_length": 512, "evaluate": {"success_threshold": 1.0}}
    )
    tokenizer = tiny_tokenizer()
    for name, seed in MODELS.items():
        save_model(tmp_path / name / "model", tiny_model(tokenizer, seed=seed), tokenizer)
        write_json(tmp_path / name / "manifest.json", {})
    (tmp_path / "tasks").mkdir()
    parts = Parts(chosen("shown"), chosen("seen"), {"test": chosen("x", "y")})
    write_json(tmp_path / "tasks" / "tasks.json", parts.to_record())
    write_json(tmp_path / "tasks" / "manifest.json", {})
    play(tmp_path, "explore_held_out", runs("x", "y"))
    return tmp_path


def play(run_dir: Path, stage: str, played: list[Trajectory]) -> None:
    (run_dir / stage).mkdir()
    write_trajectories(run_dir / stage / "trajectories.jsonl", played)
    write_json(run_dir / stage / "manifest.json", {})


def test_it_is_the_share_of_pairs_ranked_rightly(run_dir: Path) -> None:
    found = assumption(run_dir, after="tree_dpo", out=run_dir / "analyses")
    rows = preference_rows(build_forest(runs("x", "y")).pairs(), "step")
    tokenizer = tiny_tokenizer()

    def logprobs(name: str) -> np.ndarray:  # type: ignore[type-arg]
        model = tiny_model(tokenizer, seed=MODELS[name])
        return side_logprobs(lambda: (model, tokenizer), rows, max_length=512)

    for when, name in (("before", "sft_strong"), ("after", "tree_dpo")):
        right = is_right(logprobs(name), logprobs("sft_weak"))
        assert found["step_dense"]["all"][when]["mean"] == pytest.approx(right.mean())
    assert found["played"] == ["explore_held_out"]
    dense, sparse = found["suffix_dense"], found["suffix_sparse"]
    assert (dense["all"]["num_rows"], dense["all"]["num_tasks"]) == (6, 2)
    assert sparse["all"]["num_rows"] == 4  # of a success and a failure
    gaps = {gap: of["num_rows"] for gap, of in dense["by_gap"].items()}
    assert gaps == {"0.25 to 0.5": 2, "0.5 to 0.75": 2, "0.75 to 1": 2}
    assert list(dense["by_depth"]) == ["1"]
    low, high = dense["all"]["difference"]["interval"]
    assert low <= dense["all"]["difference"]["mean"] <= high
    lines = (run_dir / "analyses" / "assumption.txt").read_text().splitlines()
    assert lines[0].split() == ["rows", "tasks", "sft_strong", "tree_dpo", "after", "-", "before"]
    assert lines[1].startswith("step, dense")
    again = assumption(run_dir, after="sft_strong", reference="sft_strong")
    assert again["step_dense"]["all"]["after"]["mean"] == 0.5  # all ties


def test_without_held_out_play_other_trained_methods_test_episodes_are_taken(
    run_dir: Path,
) -> None:
    (run_dir / "explore_held_out" / "manifest.json").unlink()
    for name in ("sft_weak", "sft_strong", "random", "tree_dpo"):
        play(run_dir, f"evaluate_{name}", runs("x"))
    assert assumption(run_dir, after="tree_dpo")["played"] == ["evaluate_sft_weak"]


def test_rows_too_long_are_counted(run_dir: Path) -> None:
    write_json(run_dir / "config.json", {"max_length": 9, "evaluate": {"success_threshold": 1.0}})
    with pytest.raises(InvalidInput, match="max_length"):
        assumption(run_dir, after="tree_dpo")


def test_what_is_no_held_out_pair_is_refused(run_dir: Path) -> None:
    play(run_dir, "evaluate_random", runs("seen"))
    with pytest.raises(InvalidInput, match=r"seen was demonstrated or explored, .*held_out"):
        assumption(run_dir, after="tree_dpo", played=["evaluate_random"])
    with pytest.raises(RunDirectoryError, match="finish the stage eto, or name another model"):
        assumption(run_dir, after="eto")
    with pytest.raises(RunDirectoryError, match="finish the stage explore_other, or name another"):
        assumption(run_dir, after="tree_dpo", played=["explore_other"])
    with pytest.raises(InvalidInput, match="max_rows is 0; at least one"):
        assumption(run_dir, after="tree_dpo", max_rows=0)
    with pytest.raises(InvalidInput, match=r"no held-out runs \(no stage\)"):
        assumption(run_dir, after="tree_dpo", played=[])
    play(run_dir, "evaluate_few", runs("x")[:1])
    with pytest.raises(InvalidInput, match=r"no two held-out runs of a task \(evaluate_few\)"):
        assumption(run_dir, after="tree_dpo", played=["evaluate_few"])
