"""`w2stree doctor`: each planted pathology is named, a clean run has none.

The run is the pipeline's, made well (`support.well_run`; `test_pipeline.py` asks a fresh one).
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import typer

pytest.importorskip("textworld_express")
pytest.importorskip("pydantic")

from support.well_run import (
    EXPLORED,
    MINIATURE,
    OPTIONS,
    keep,
    play,
    read,
    set_metrics,
    set_rewards,
    those_tested,
    well_run,
)

from w2stree.cli.app import app, main
from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import RepeatedTrajectories, RunDirectoryError
from w2stree.experiment.analyses.divergence_cause import divergence_cause
from w2stree.experiment.diagnosis.diagnose import RULES, diagnose
from w2stree.forest.build import build_forest
from w2stree.policies.expert import ExpertPolicy
from w2stree.policies.protocol import Episode
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.continuations import Measured
from w2stree.rollouts.contrasts import contrasts_of
from w2stree.rollouts.paired_looks import PairedLooks
from w2stree.rollouts.recombination.paths import ENDS_AT_BEST
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.turn import AgentTurn

pytestmark = pytest.mark.java

BEST_PATHS = MINIATURE / "tree" / "best_paths.jsonl"  # failures, all four of them
MANY = [f"cookingworld/train/{i}" for i in range(40)]


class Mumbling(RandomPolicy):
    def act(self, episodes: Sequence[Episode]) -> list[AgentTurn]:
        return [AgentTurn("I wonder.") for _ in episodes]


@pytest.fixture(scope="module")
def pool() -> Any:
    with OPTIONS.pool() as pool:
        yield pool


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, pool: EnvironmentPool) -> Path:
    return well_run(tmp_path_factory.mktemp("runs") / "mini", pool)


def cut(run: Trajectory) -> Trajectory:
    origin = replace(run.origin, truncated_by="the model has 128 positions")
    return replace(run, status="truncated", origin=origin, steps=run.steps[:2], total_return=0.0)


def failed(run: Trajectory) -> Trajectory:
    origin = replace(run.origin, error="environment process 4711: no answer within 60 s")
    return replace(run, status="error", origin=origin)


def numbered(runs: list[Trajectory]) -> list[Trajectory]:
    """A running number in every answer."""
    numbers = iter(range(1_000_000))
    return [
        replace(
            run,
            steps=tuple(
                replace(s, observation=f"[{next(numbers)}] {s.observation}") for s in run.steps
            ),
        )
        for run in runs
    ]


def undecided(run: Path) -> None:
    """The stage's figures of contrasts that playing on did not bear out."""
    forest = build_forest(read(run, "explore"))
    contrasts = [c for task_id in forest.task_ids for c in contrasts_of(forest[task_id])]
    looks = PairedLooks()
    differences = ((0.5, 0.0) * 2, (0.0, 0.5) * 2)
    found = [
        Measured(c, differences, looks.look([0.5, -0.5] * 2), "undecided") for c in contrasts[:30]
    ]
    assert len(found) >= 20
    (run / "continuations").mkdir()
    figures = json.dumps(divergence_cause(found, looks))
    (run / "continuations" / "divergence_cause.json").write_text(figures)
    shutil.copy(run / "tree" / "manifest.json", run / "continuations" / "manifest.json")


def analysed(run: Path) -> None:
    """What `w2stree analyse assumption` once said of a model that did not gain."""
    (run / "analyses").mkdir()
    found = Path(__file__).with_name("assumption_near_half.json")
    shutil.copy(found, run / "analyses" / "assumption.json")


@dataclass(frozen=True)
class Pathology:
    plant: Callable[[Path, EnvironmentPool], object]
    also: frozenset[str] = frozenset()
    """What follows from it, and may be named too."""


def pathologies() -> dict[str, Pathology]:
    return {
        "below-sft": Pathology(
            lambda run, pool: keep(
                run, "evaluate_tree_dpo", play(pool, RandomPolicy(), those_tested(run))
            )
        ),
        "flat-loss": Pathology(lambda run, _: set_metrics(run, "tree_dpo", loss_after=9.0)),
        "half-accuracy": Pathology(
            lambda run, _: set_metrics(run, "tree_dpo", reward_accuracy=0.5)
        ),
        "held-out-half": Pathology(lambda run, _: analysed(run)),
        "not-causal": Pathology(lambda run, _: undecided(run)),
        "displaced": Pathology(lambda run, _: set_rewards(run, [-0.1 * i for i in range(20)])),
        "rows-too-long": Pathology(lambda run, _: set_metrics(run, "tree_dpo", num_too_long=10)),
        "unlearned-start": Pathology(
            lambda run, _: set_metrics(run, "sft_strong", mean_token_accuracy=0.1)
        ),
        "failed-paths": Pathology(
            lambda run, _: shutil.copy(BEST_PATHS, run / "tree" / "best_paths.jsonl")
        ),
        "errors": Pathology(
            lambda run, _: keep(
                run,
                "explore",
                [failed(t) if i % 8 == 0 else t for i, t in enumerate(read(run, "explore"))],
            )
        ),
        "turns-without-action": Pathology(
            lambda run, pool: keep(
                run, "evaluate_mcts_sft", play(pool, Mumbling(), those_tested(run))
            ),
            frozenset({"below-sft"}),
        ),
        "cut-short": Pathology(
            lambda run, _: keep(
                run,
                "evaluate_sft_weak",
                [cut(t) if i < 3 else t for i, t in enumerate(read(run, "evaluate_sft_weak"))],
            )
        ),
        "step-limit": Pathology(
            lambda run, pool: keep(
                run, "explore", [*play(pool, Mumbling(), EXPLORED, 12), *read(run, "explore")]
            ),
            frozenset({"turns-without-action", "no-diversity", "thin-support"}),
        ),
        "no-diversity": Pathology(
            lambda run, pool: keep(run, "explore", play(pool, ExpertPolicy(), EXPLORED, 8)),
            frozenset({"few-pairs"}),
        ),
        "few-pairs": Pathology(
            lambda run, _: keep(
                run, "explore", [t for t in read(run, "explore") if t.total_return >= 1.0]
            )
        ),
        "thin-support": Pathology(
            lambda run, pool: keep(
                run, "explore", play(pool, ExpertPolicy(noise=0.3), MANY, num_samples=2)
            ),
            frozenset({"few-pairs", "sparse-tree", "seen-test-tasks"}),
        ),
        "sparse-tree": Pathology(
            lambda run, _: keep(run, "explore", numbered(read(run, "explore"))),
            frozenset({"thin-support", "few-pairs"}),
        ),
        "seen-test-tasks": Pathology(
            lambda run, _: keep(
                run,
                "evaluate_sft_strong",
                [*read(run, "evaluate_sft_strong"), read(run, "explore")[0]],
            )
        ),
    }


def test_a_clean_run_has_none(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor", str(clean)])
    told = capsys.readouterr().out
    assert status == 0, told
    assert told.startswith("0 symptoms found")
    assert "nothing to measure it on: held-out-half, not-causal\n" in told


@pytest.mark.parametrize("name", sorted(pathologies()))
def test_a_planted_pathology_is_named(
    clean: Path, pool: EnvironmentPool, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(clean, run)
    pathology = pathologies()[name]
    pathology.plant(run, pool)
    found = diagnose(run)
    names = {symptom.name for symptom in found.symptoms}
    assert name in names, found
    assert names <= {name, *pathology.also}, found
    for symptom in found.symptoms:
        is_beyond = symptom.measured > symptom.threshold
        assert is_beyond == symptom.is_above
        for line in symptom.command.split(" && "):
            assert is_understood(line), line


def is_understood(line: str) -> bool:
    """Whether it can be typed as it is."""
    program, *words = shlex.split(line)
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return program == "tail" or not command.make_context("w2stree", words).args


def test_every_rule_is_planted_and_on_the_page() -> None:
    names = [rule.name for rule in RULES]
    assert sorted(names) == sorted(pathologies())
    page = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text("utf-8")
    for name in names:
        assert f"| `{name}` |" in page


def test_of_runs_alone_exploring_is_asked(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(clean / "explore" / "trajectories.jsonl"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["symptoms"] == []
    assert {"below-sft", "flat-loss", "seen-test-tasks"} <= set(record["not_asked"])
    assert {"errors", "no-diversity", "sparse-tree"} <= set(record["healthy"])


def test_runs_of_another_tool_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = [("user", "Wash."), ("assistant", "Action: wash"), ("user", "It is clean.")]
    messages = [{"role": role, "content": text} for role, text in said]
    record = {"task": "mug", "reward": 1.0, "messages": messages}
    log = tmp_path / "log.jsonl"
    log.write_text(f"{json.dumps(record)}\n" * 6, "utf-8")
    with pytest.warns(RepeatedTrajectories):
        assert main(["doctor", str(log), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [symptom["name"] for symptom in told["symptoms"]] == ["no-diversity", "few-pairs"]


def test_nothing_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path / "nowhere")]) == 2
    assert "no such run directory, folder or file" in capsys.readouterr().err


def test_figures_that_are_no_numbers_are_read_and_not_measured(tmp_path: Path) -> None:
    """A training whose loss is a number may log NaN beside it."""
    run = tmp_path / "run"
    shutil.copytree(MINIATURE, run)
    set_rewards(run, [-0.1 * i for i in range(20)])
    file = run / "tree_dpo" / "losses.jsonl"
    file.write_text(file.read_text() + '{"step": 20, "rewards/chosen": NaN, "grad_norm": NaN}\n')
    (displaced,) = [symptom for symptom in diagnose(run).symptoms if symptom.name == "displaced"]
    assert " tree_dpo.sft_weight=1 " in displaced.command
    config = json.loads((run / "config.json").read_text())
    config["tree_dpo"]["sft_weight"] = 1.0
    (run / "config.json").write_text(json.dumps(config))
    (displaced,) = [symptom for symptom in diagnose(run).symptoms if symptom.name == "displaced"]
    assert " tree_dpo.sft_weight=2 " in displaced.command
    file.write_text('{"step": 1, "loss": "high"}\n')
    with pytest.raises(RunDirectoryError, match=r"losses\.jsonl:1: no step of a training"):
        diagnose(run)


def test_what_cut_runs_short_is_told_and_a_path_that_ends_at_its_best_is_whole(
    clean: Path, tmp_path: Path
) -> None:
    def cut_by(stage: str, cause: str) -> list[str]:
        runs = read(clean, "explore")
        origin = replace(runs[0].origin, truncated_by=cause)
        keep(run, stage, [replace(runs[0], status="truncated", origin=origin), *runs[1:4]])
        return [symptom.says for symptom in diagnose(run).symptoms if symptom.name == "cut-short"]

    run = tmp_path / "run"
    shutil.copytree(clean, run)
    (run / "recombine").mkdir()
    shutil.copy(run / "explore" / "manifest.json", run / "recombine" / "manifest.json")
    assert cut_by("recombine", ENDS_AT_BEST) == []
    (told,) = cut_by("recombine", "the bill exceeds 3 dollars")
    assert "(most often: the bill exceeds 3 dollars)" in told


def test_a_folder_s_name_does_not_get_into_a_command(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(MINIATURE, run)
    set_metrics(run, "tree_dpo", reward_accuracy=0.5, num_used_rows=40)
    shutil.copytree(run / "tree_dpo", run / "x; touch owned {stage}")
    (half,) = [symptom for symptom in diagnose(run).symptoms if symptom.name == "half-accuracy"]
    assert half.stage == "tree_dpo"
