"""The stage `continuations`, and what is learned from it: the weak model plays on, for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("pydantic")

from support.demonstrated import experiment
from support.tiny_models import tiny_model, tiny_tokenizer

from w2stree.errors import InvalidInput, RunDirectoryError
from w2stree.experiment.analyses.divergence_cause import (
    divergence_cause,
    read_divergence_cause,
    table,
)
from w2stree.experiment.config import load_config
from w2stree.experiment.methods import verified_dpo
from w2stree.experiment.methods.verified_dpo import VerifiedDpoSection, rows_of
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import read_json, write_json
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.continuations import continuations, measured_contrasts
from w2stree.experiment.stages.inputs import inputs_for
from w2stree.experiment.stages.learn import train
from w2stree.experiment.stages.play import explore
from w2stree.experiment.stages.tree import tree
from w2stree.rollouts.paired_looks import PairedLooks
from w2stree.training.models import save_model
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.files import read_trajectories

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
]

ONCE = {"optimisation": {"num_epochs": 1, "learning_rate": 1.0e-3}}


@contextmanager
def doors(folder: Path, **changes: Any) -> Iterator[Context]:
    """A run whose models are there. Opening a door pays; who waits has fewer turns left for it."""
    game = {"name": "gymnasium", "make": "support.games:Doors", "score_range": [0.0, 4.0]}
    given = {
        "explore": {"samplings": [{"temperature": 1.0}] * 3},
        "decoding": {"actions": "admissible", "thought": False},
        "verified_dpo": ONCE,
        "continuations": {"per_task": 2},
        **changes,
    }
    tasks = {"demonstrations": 1, "explore": 4, "test": 1}
    with experiment(folder, None, {**game, "max_steps": 3}, tasks, **given) as context:
        tokenizer = tiny_tokenizer()
        for stage in ("sft_weak", "sft_strong"):
            save_model(context.model_dir(stage), tiny_model(tokenizer), tokenizer)
        yield context


def run(context: Context, stage: Any) -> StageWriter:
    out = StageWriter(context.run_dir / stage.__name__)
    out.folder.mkdir(exist_ok=True)
    stage(context, out)
    return out


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with doors(tmp_path_factory.mktemp("doors")) as context:
        for stage in (explore, tree, continuations):
            run(context, stage)
        yield context


def test_opening_is_measured_to_be_better_than_waiting(finished: Context) -> None:
    measured = measured_contrasts(finished)
    assert measured
    for one in measured:
        actions = tuple(side.action for side in one.contrast.sides)
        if one.is_significant:
            assert actions == (("open", "wait") if one.verdict == "confirmed" else ("wait", "open"))
    assert any(one.verdict == "confirmed" for one in measured)


def test_its_continuations_are_runs_of_the_weak_model(finished: Context) -> None:
    played = read_trajectories(finished.run_dir / "continuations" / "trajectories.jsonl")
    assert played
    for trajectory in played:
        assert trajectory.origin.prefix_length >= 1
        assert trajectory.origin.policy == "transformers"
        assert len(trajectory.steps) == 3


def test_an_interrupted_stage_is_gone_on_with(finished: Context, tmp_path: Path) -> None:
    files = finished.run_dir / "continuations"
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    out = run(finished, continuations)  # its journal is still there
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before
    assert out.metrics["generated_tokens_per_s"] == 0
    assert ".continuations-.journal" in {path.name for path in out.outlived}


def test_rows_are_of_significant_contrasts_in_the_measured_direction(finished: Context) -> None:
    measured, forest = measured_contrasts(finished), finished.forest()
    section = VerifiedDpoSection(optimisation=Optimisation(num_epochs=1, learning_rate=1e-3))
    rows = rows_of(measured, forest, section)
    assert rows
    for row in rows:
        assert row.turns(row.chosen)[0].action == "open"
        assert row.turns(row.rejected)[0].action == "wait"
        assert row.gap == pytest.approx(row.chosen_return - row.rejected_return)
        assert row.num_chosen in (8, 16)
        assert row.chosen.steps[: row.begin] == row.rejected.steps[: row.begin]
    (turned, *_) = [replace(m, verdict="reversed") for m in measured if m.verdict == "confirmed"]
    (row,) = rows_of([turned], forest, section)
    assert row.turns(row.chosen)[0].action == "wait"
    most = max(abs(m.look.mean) for m in measured if m.look and m.is_significant)
    high = section.model_copy(update={"min_difference": most + 0.01})
    assert rows_of(measured, forest, high) == []
    as_much = section.model_copy(update={"min_difference": most + 1e-12})
    assert rows_of(measured, forest, as_much), "equal but for rounding"


def test_the_strong_model_is_trained_on_them(finished: Context) -> None:
    method = verified_dpo.METHOD
    out = StageWriter(finished.run_dir / "verified_dpo")
    out.folder.mkdir()
    train(finished, out, method, inputs_for(method, finished.config))
    significant = [m for m in measured_contrasts(finished) if m.is_significant]
    assert out.metrics["num_significant"] == len(significant)
    assert 0 < out.metrics["num_preference_rows"] <= len(significant)
    assert (out.folder / "model" / "config.json").is_file()


def test_nothing_significant_is_refused_with_what_to_do(finished: Context) -> None:
    section = VerifiedDpoSection(**ONCE)  # type: ignore[arg-type]
    found = [replace(m, verdict="undecided") for m in measured_contrasts(finished)]
    nothing: Any = None
    with pytest.raises(InvalidInput, match=r"0 of \d+ contrasts are significant.*alpha"):
        verified_dpo.train(
            continuations=found,
            forest=finished.forest(),
            weak=nothing,
            start=nothing,
            section=section,
            fitting=nothing,
        )


def test_divergence_cause_counts_by_gap_depth_and_support(finished: Context) -> None:
    write_json(finished.run_dir / "config.json", finished.config.model_dump(mode="json"))
    with pytest.raises(RunDirectoryError, match=r"continuations has not finished, .*verified_dpo"):
        read_divergence_cause(finished.run_dir)
    write_json(finished.run_dir / "continuations" / "manifest.json", {})
    figures = read_divergence_cause(finished.run_dir, out=finished.run_dir / "analyses")
    assert read_json(finished.run_dir / "analyses" / "divergence_cause.json") == figures
    measured = measured_contrasts(finished)
    assert figures == json.loads(json.dumps(divergence_cause(measured, PairedLooks())))
    whole = figures["all"]
    assert whole["num_contrasts"] == len(measured)
    assert 0 <= whole["by_chance_share"] <= figures["alpha"]
    for name in ("by_gap", "by_depth", "by_support"):
        groups = figures[name].values()
        for key in ("num_contrasts", "num_confirmed", "num_reversed", "num_undecided"):
            assert sum(group[key] for group in groups) == whole[key], (name, key)
    assert (finished.run_dir / "continuations" / "divergence_cause.txt").read_text() == table(
        figures
    )
    contrast = measured[0].contrast
    better, other = (
        replace(s, mean_return=r) for s, r in zip(contrast.sides, (0.7, 0.45), strict=True)
    )
    rounded = replace(measured[0], contrast=replace(contrast, better=better, other=other))
    assert rounded.contrast.gap < 0.25
    assert list(divergence_cause([rounded], PairedLooks())["by_gap"]) == ["0.25 to 0.50"]
    with pytest.raises(InvalidInput, match="no contrast was measured"):
        divergence_cause([], PairedLooks())


def test_contrasts_of_another_forest_are_refused(finished: Context) -> None:
    file = finished.run_dir / "continuations" / "contrasts.jsonl"
    kept = file.read_text()
    first, *_ = kept.splitlines()
    try:
        file.write_text(kept + json.dumps({**json.loads(first), "node": 99999}) + "\n")
        with pytest.raises(RunDirectoryError, match=r"contrasts\.jsonl:\d+: .*no node 99999"):
            measured_contrasts(finished)
    finally:
        file.write_text(kept)


def test_the_stage_runs_only_for_those_who_need_it(tmp_path: Path) -> None:
    def needs(*overrides: str) -> dict[str, tuple[str, ...]]:
        context = Context(load_config("miniature", overrides), tmp_path)
        return {spec.name: spec.needs for spec, _ in stages(context)}

    assert "continuations" not in needs("verified_dpo=null")
    asked = needs("verified_dpo.optimisation={num_epochs: 1, learning_rate: 1.0e-4}")
    assert asked["continuations"] == ("explore", "tree", "sft_weak")
    assert asked["verified_dpo"] == ("explore", "tree", "continuations", "sft_weak", "sft_strong")
