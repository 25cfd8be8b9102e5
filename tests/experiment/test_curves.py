"""`report_to` of a run: a curve a stage, and nothing else than without it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("tensorboard")

from support.demonstrated import experiment
from support.event_files import scalars
from support.treasure_hunters import hunts

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.experiment.config import Config
from w2stree.experiment.hashes import hash_files
from w2stree.experiment.pipeline import run_methods
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("the_example_s_folder")]

STAGES = ("sft_weak", "sft_strong")


@contextmanager
def config(folder: Path, **changes: object) -> Iterator[Config]:
    folder.mkdir(exist_ok=True)
    once = {"num_epochs": 2, "learning_rate": 1.0e-3, "batch_size": 4}
    with experiment(folder, hunts(range(500, 510)), ceiling=None, **changes) as context:
        record = context.config.model_dump(mode="json")
        for role in ("weak", "strong"):
            record[role]["sft"] = once
        yield type(context.config).model_validate(record)


def run(config: Config, run_dir: Path) -> dict[str, str]:
    """What became of each stage."""
    told: dict[str, str] = {}
    run_methods(config, run_dir, STAGES, announce=told.__setitem__)
    return told


def keys(config: Config, folder: Path) -> dict[str, str]:
    with closing(Context(config, folder)) as context:
        directory = context.directory()
        specs = [spec for spec, _ in stages(context) if spec.name in STAGES]
        return {spec.name: directory.key(spec) for spec in specs}


def test_a_run_with_curves_is_the_run_without(tmp_path: Path) -> None:
    plain, told = tmp_path / "plain", tmp_path / "told"
    with config(plain) as without, config(plain, report_to="tensorboard") as within:
        run(without, plain / "run")
        run(within, told / "run")
        assert keys(within, told / "run") == keys(without, plain / "run")
        for stage in STAGES:
            one, other = (hash_files(folder / "run" / stage) for folder in (plain, told))
            assert one == other, "weights and losses, to the bit"
        assert set(run(within, plain / "run").values()) == {"done before"}
        assert set(run(without, told / "run").values()) == {"done before"}
    assert not (plain / "run" / ".curves").exists(), "nothing was trained again"


def test_each_stage_has_a_curve_of_its_own(tmp_path: Path) -> None:
    with config(tmp_path, report_to=["tensorboard"], seed=3, seeds={"sft_weak": 1}) as given:
        run(given, tmp_path / "run")
    folders = sorted(path.name for path in (tmp_path / "run" / ".curves").iterdir())
    names = [re.sub(r"\.\d{4}-\d\d-\d\dT[\d.-]{12}$", "", name) for name in folders]
    assert names == ["run.smallest.sft_strong.seed-3", "run.smallest.sft_weak.seed-1"]
    for stage, folder in zip(sorted(STAGES), folders, strict=True):
        lines = (tmp_path / "run" / stage / "losses.jsonl").read_text().splitlines()
        logged = [(step["step"], step["loss"]) for step in map(json.loads, lines)]
        curve = scalars(tmp_path / "run" / ".curves" / folder, "train/loss")
        assert [step for step, _ in curve] == [step for step, _ in logged]
        assert [loss for _, loss in curve] == pytest.approx([loss for _, loss in logged])
        first, last = scalars(tmp_path / "run" / ".curves" / folder, "eval/loss")
        assert (first[0], last[0]) == (0, len(lines)), "before the first step, after the last"


def test_the_environment_s_folder_is_used_and_curves_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "all"))
    with config(tmp_path, report_to="all") as given:
        assert "tensorboard" in given.report_to
        run(given.model_copy(update={"report_to": ("tensorboard",)}), tmp_path / "run")
    assert len(list((tmp_path / "all").iterdir())) == 2
    assert not (tmp_path / "run" / ".curves").exists()


@pytest.mark.skipif(find_spec("trackio") is not None, reason="trackio is installed")
def test_a_tracker_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with (
        config(tmp_path, report_to=["tensorboard", "trackio"]) as given,
        pytest.raises(MissingDependency, match=r"report_to='trackio' .*: pip install trackio"),
    ):
        run(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("tensorbord", "'tensorbord' is no tracker; give tensorboard, trackio, wandb, none or all"),
        (["none", "wandb"], "'none' is no tracker"),
        (7, "7 is no tracker"),
        ([["wandb"]], r"\['wandb'\] is no tracker"),
    ],
)
def test_what_is_no_tracker_is_refused(given: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"report_to.*{told}"), config(tmp_path, report_to=given):
        pass


@pytest.mark.parametrize("given", ["none", [], None])
def test_nobody_is_told_unless_asked(given: object, tmp_path: Path) -> None:
    with config(tmp_path, report_to=given) as read:
        assert read.report_to == ()
