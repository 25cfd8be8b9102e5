"""The stage `explore` where episodes fail: it says so, or it stops the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("pydantic")

from support.demonstrated import experiment
from support.tiny_models import tiny_model, tiny_tokenizer

from w2stree.errors import ExplorationFailure, SamplesUnfinished
from w2stree.experiment.hashes import hash_files
from w2stree.experiment.methods import random
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.journals import recorded_journals
from w2stree.experiment.stages.play import EXPLORERS, Explorer, evaluate, explore
from w2stree.training.models import save_model
from w2stree.trajectories.files import read_trajectories

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]


@contextmanager
def doors(
    folder: Path, *, nth: int = 1, num_tasks: int = 2, max_attempts: int = 1
) -> Iterator[Context]:
    """A run whose weak model is there, in a game whose doors are jammed (`Jammed`)."""
    game = {
        "name": "gymnasium",
        "make": "support.games:Jammed",
        "options": {"jam": str(folder / "jam"), "nth": nth},
        "score_range": [0.0, 10.0],
        "max_steps": 2,
    }
    samplings: dict[str, Any] = {
        "samplings": [{"temperature": t} for t in (0.5, 1.0)],
        "max_attempts": max_attempts,
    }
    decoding = {"actions": "admissible", "thought": False}
    tasks = {"demonstrations": 1, "explore": num_tasks, "test": 1}
    with experiment(folder, None, game, tasks, explore=samplings, decoding=decoding) as context:
        tokenizer = tiny_tokenizer()
        save_model(context.model_dir("sft_weak"), tiny_model(tokenizer), tokenizer)
        yield context


def play(context: Context) -> StageWriter:
    out = StageWriter(context.run_dir / "explore")
    out.folder.mkdir(exist_ok=True)
    explore(context, out)
    return out


def test_it_does_not_go_on_with_nothing(tmp_path: Path) -> None:
    (tmp_path / "jam").touch()
    how = r"4 of 4 samples are out of attempts: .*\n.* explore.max_attempts=2 tries them again"
    with doors(tmp_path) as context:
        with pytest.raises(ExplorationFailure, match=r"explore:\n4 of 4 .*\n +4  .* are jammed"):
            play(context)
        with pytest.raises(ExplorationFailure, match=how):
            play(context)  # nothing more is played
        with pytest.raises(ExplorationFailure, match=r"evaluate_random: 1 of 1 .*\n +1  .* jammed"):
            evaluate(context, StageWriter(context.run_dir), random.METHOD)
    (tmp_path / "jam").unlink()
    with doors(tmp_path, max_attempts=2) as context:
        out = play(context)
    assert out.metrics["num_failed"] == 0
    assert out.metrics["num_trajectories"] == 4
    assert out.metrics["num_errors"] == 0


def test_it_says_what_is_missing_of_it(tmp_path: Path) -> None:
    (tmp_path / "jam").touch()
    with doors(tmp_path, nth=2, num_tasks=4) as context:
        jammed = [t for t in context.parts().explore.task_ids if int(t.rpartition("/")[2]) % 2 == 0]
        assert 0 < len(jammed) < 4
        with pytest.warns(SamplesUnfinished, match=r"^explore:\n.* ended in an error:\n") as told:
            out = play(context)
    assert len(told) == 1
    assert f"{2 * len(jammed)} of 8 samples are out of attempts: " in str(told[0].message)
    assert out.metrics["num_failed"] == out.metrics["num_errors"] == 2 * len(jammed)
    played = read_trajectories(out.folder / "trajectories.jsonl")
    assert {t.task_id for t in played if t.status == "error"} == set(jammed)


def test_journals_of_other_settings_stay_until_it_is_complete(tmp_path: Path) -> None:
    with doors(tmp_path) as context:
        other = context.run_dir / ".explore-0123456789abcdef.journal"
        left = context.run_dir / "..explore-0123456789abcdef.journal.owner"
        for file in (other, left):
            file.write_text("of other settings")
        out = play(context)
        assert other.exists()
        names = {path.name for path in out.outlived}
        assert names == {other.name, left.name, ".explore-.journal"}


def test_a_journal_of_an_older_version_is_gone_on_with(tmp_path: Path) -> None:
    """Its name tells the model alone."""
    with doors(tmp_path) as context:
        played = play(context).metrics["num_trajectories"]
        journal = context.run_dir / ".explore-.journal"
        model = hash_files(context.model_dir("sft_weak"))
        digest = hashlib.sha256(json.dumps(model).encode()).hexdigest()
        journal.rename(context.run_dir / f".explore-{digest[:12]}.journal")
        (context.run_dir / f".explore-{'0' * 12}.journal").write_text("of another model")
        (tmp_path / "jam").touch()  # whatever is played now fails
        again = play(context)
        assert again.metrics["num_trajectories"] == played
        assert again.metrics["num_errors"] == 0


@pytest.mark.parametrize("explorer", EXPLORERS[1:], ids=lambda explorer: explorer.stage)
def test_other_explorations_play_their_own_model_and_tasks(
    tmp_path: Path, explorer: Explorer
) -> None:
    with doors(tmp_path) as context:
        weak = context.model_dir("sft_weak")
        if explorer.role == "strong":
            weak.parent.rename(context.run_dir / "sft_strong")
        of_weak = context.run_dir / ".explore-0123456789abcdef.journal"
        of_weak.write_text("begun")
        stage = explorer.stage
        out = StageWriter(context.run_dir / stage)
        out.folder.mkdir()
        explore(context, out, explorer)
        played = read_trajectories(out.folder / "trajectories.jsonl")
        parts = context.parts()
        expected = {
            "explore_strong": parts.explore.task_ids,
            "explore_demonstrated": parts.demonstrations.task_ids,
            "explore_held_out": parts.evaluated,
        }
        assert {t.task_id for t in played} == set(expected[stage])
        assert len(played) == 2 * len(expected[stage])
        assert [path.name for path in out.outlived] == [f".{stage}-.journal"]
        assert recorded_journals(context.run_dir, "explore") == [of_weak]
        assert recorded_journals(context.run_dir, stage) == out.outlived
