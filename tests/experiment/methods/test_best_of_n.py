"""Best of N at test time: N runs of each task are played, and the best of them counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

from support.demonstrated import experiment
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree.errors import InvalidInput
from w2stree.experiment.config import load_config
from w2stree.experiment.methods import best_of_n
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages import choose
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.play import SAMPLES_FILE, best_or_error, evaluate
from w2stree.training.models import save_model
from w2stree.trajectories.files import read_trajectories

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]

DOORS = {
    "name": "gymnasium",
    "make": "support.games:Doors",
    "score_range": [0.0, 10.0],
    "max_steps": 3,
}


def test_every_sample_is_kept_and_the_best_counts(tmp_path: Path) -> None:
    decoding = {"actions": "admissible", "thought": False}
    tasks = {"demonstrations": 1, "explore": 1, "test": 3}
    drawn = {"num_samples": 4, "sampling": {"temperature": 1.5}}
    with experiment(tmp_path, None, DOORS, tasks, decoding=decoding, best_of_n=drawn) as context:
        tokenizer = tiny_tokenizer()
        save_model(context.model_dir("sft_strong"), tiny_model(tokenizer), tokenizer)
        (context.run_dir / "tasks").mkdir()
        choose.tasks(context, StageWriter(context.run_dir / "tasks"))
        spec = {spec.name: spec for spec, _ in stages(context)}["evaluate_best_of_n"]
        assert spec.needs == ("tasks", "sft_strong")
        assert {"best_of_n", "strong.served", "decoding"} <= set(spec.reads)
        out = StageWriter(context.run_dir / "evaluate_best_of_n")
        out.folder.mkdir(parents=True)
        with context.reading(spec):
            evaluate(context, out, best_of_n.METHOD)
        samples, counted = (
            read_trajectories(out.folder / name) for name in (SAMPLES_FILE, "trajectories.jsonl")
        )
        task_ids = context.parts().evaluated
    assert [t.origin.sample_index for t in samples] == [0, 1, 2, 3] * 3
    assert len({tuple(s.action for s in t.steps) for t in samples}) > 1
    assert {t.origin.temperature for t in samples} == {1.5}
    assert sorted(t.task_id for t in counted) == sorted(task_ids)
    for best in counted:
        of_task = [t for t in samples if t.task_id == best.task_id]
        assert best.total_return == max(t.total_return for t in of_task)
    assert (out.metrics["num_samples"], out.metrics["num_trajectories"]) == (12, 3)


def test_ties_go_to_the_first_and_a_task_of_errors_stays_one() -> None:
    broken = [replace(run, task_id="task-2", status="error") for run in (GOOD, BAD)]
    better = replace(WORSE, total_return=1.0)
    assert best_or_error([BAD, GOOD, better, *broken]) == [GOOD, broken[0]]


def test_it_trains_nothing_and_has_a_seed_of_the_evaluation_alone() -> None:
    config = load_config("miniature", ["best_of_n={}"])
    names = [spec.name for spec, _ in stages(Context(config, Path("nowhere")))]
    assert "best_of_n" not in names
    assert names.index("sft_strong") < names.index("evaluate_best_of_n")
    with pytest.raises(InvalidInput, match="'best_of_n' draws nothing with a seed of its own"):
        load_config("miniature", ["best_of_n={}", "seeds.best_of_n=1"])


@pytest.mark.parametrize(
    ("sampling", "why"),
    [
        ("{temperature: 0}", r"best_of_n\.sampling: temperature is 0: all samples would be the"),
        ("{model: base}", r"best_of_n\.sampling: model is 'base'"),
    ],
)
def test_samples_that_say_nothing_are_refused(sampling: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        load_config("miniature", [f"best_of_n.sampling={sampling}"])
