"""Another configuration in a run's directory: told and taken, or refused until it is meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from w2stree.errors import RunDirectoryError
from w2stree.experiment.config import load_config
from w2stree.experiment.consent import consent
from w2stree.experiment.run_directory import RunDirectory, StageSpec
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context

pytestmark = pytest.mark.train


def opened(
    folder: Path, *overrides: str, redo: bool = False, force: tuple[str, ...] = ()
) -> tuple[RunDirectory, list[str]]:
    """The run's directory under the miniature's configuration, overridden, and the stages whose
    results follow from another one."""
    config = load_config("miniature", overrides)
    context = Context(config, folder)
    specs = [spec for spec, _ in stages(context)]
    context.accept = consent(config, specs, is_given=redo, force=force)
    directory = context.directory()
    asked = [spec for spec in specs if spec.name not in force]
    return directory, [spec.name for spec in asked if directory.changed(spec)]


def make(folder: Path, *names: str) -> None:
    """Finished stages, of which nothing but the manifests is there; all without names."""
    directory, _ = opened(folder)
    specs = [spec for spec, _ in stages(Context(load_config("miniature"), folder))]
    for spec in specs:
        if not names or spec.name in names:
            bare = StageSpec(spec.name, spec.needs, (), spec.external, spec.reads)
            with directory.write(bare, 0) as out:
                (out.folder / "result").write_text(spec.name)


@pytest.mark.parametrize(
    ("override", "redone"),
    [
        ("tree_dpo.beta=0.3", ["tree_dpo", "report"]),
        ("mcts_sft.min_return=0.2", ["mcts_sft", "report"]),
        ("search.num_paths=2", ["tree", "report"]),
        ("evaluate.num_bootstrap=9", ["report"]),
        ("name=other", ["report"]),
        ("explore.max_attempts=9", []),
        ("environment.num_processes=1", []),
    ],
)
def test_what_is_late_is_taken_at_once(tmp_path: Path, override: str, redone: list[str]) -> None:
    make(tmp_path)
    _, changed = opened(tmp_path, override)
    assert changed == redone
    key, _, value = override.partition("=")
    kept = json.loads((tmp_path / "config.json").read_text())
    for name in key.split("."):
        kept = kept[name]
    assert str(kept) == value


@pytest.mark.parametrize(
    ("override", "why"),
    [
        (
            "seed=1",
            r"\(seed: 0 there, 1 now\): random_play, sft_weak, pretrain, .* would be redone",
        ),
        (
            "weak.sft.num_epochs=3",
            r"sft_weak would be redone, and explore where it comes out different \(they took \d+ s",
        ),
        ("tasks.explore=3", r"tasks would be redone, and .*explore.* where it comes out different"),
        ("environment.game=coin", "environment.game: 'cookingworld' there, 'coin' now"),
        ("decoding.max_new_tokens=20", "explore would be redone"),
        ("name=other", r"name: 'miniature' there, 'other' now.*\): it is another experiment's"),
    ],
)
def test_what_rows_stand_on_is_replaced_by_who_means_to(
    tmp_path: Path, override: str, why: str
) -> None:
    make(tmp_path)
    before = (tmp_path / "config.json").read_text()
    overrides = [override]
    if override == "environment.game=coin":
        overrides.append("environment.params={}")
    if override == "name=other":  # alone it is another title
        overrides.append("tree_dpo.beta=0.3")
    with pytest.raises(RunDirectoryError, match=rf"{why}.*; choose another --run-dir, or .*--redo"):
        opened(tmp_path, *overrides)
    assert (tmp_path / "config.json").read_text() == before
    _, changed = opened(tmp_path, *overrides, redo=True)
    assert changed
    assert (tmp_path / "explore" / "result").exists(), "until there is another"


def test_what_is_not_made_yet_may_be_made_otherwise(tmp_path: Path) -> None:
    make(tmp_path, "tasks", "demonstrations", "tokenizer", "random_play")
    assert opened(tmp_path, "weak.sft.num_epochs=3")[1] == []
    assert opened(tmp_path, "weak.sft.num_epochs=3", "explore.samplings=paper")[1] == []
    with pytest.raises(RunDirectoryError, match="random_play would be redone"):
        opened(tmp_path, "strong.pretrain.max_steps=3")


@pytest.mark.parametrize(
    "name", [".explore-0123456789ab.journal", ".explore-0123456789abcdef.journal"]
)
def test_episodes_of_an_interrupted_exploration_are_not_left_behind_unasked(
    tmp_path: Path, name: str
) -> None:
    make(tmp_path, "tasks", "demonstrations")
    journal = tmp_path / name
    journal.write_text("played")
    assert opened(tmp_path, "tree_dpo.beta=0.3")
    with pytest.raises(RunDirectoryError, match=r"interrupted would begin anew; .*--redo"):
        opened(tmp_path, "tree_dpo.beta=0.3", "explore.samplings=paper")
    assert journal.exists()
    assert opened(tmp_path, "tree_dpo.beta=0.3", "explore.samplings=paper", redo=True)
    is_older = len(name) == len(".explore-0123456789ab.journal")
    assert journal.exists() == (not is_older), "an older one's name says nothing of settings"


VERIFIED = "verified_dpo={optimisation: {num_epochs: 1, learning_rate: 0.001}}"


@pytest.mark.parametrize("changed", ["continuations.per_task=9", "search.num_paths=2"])
def test_interrupted_continuations_are_not_left_behind_unasked(
    tmp_path: Path, changed: str
) -> None:
    """Neither where they would be played otherwise, nor where the tree that they are of is redone,
    which alone is taken."""
    make(tmp_path, "tasks", "demonstrations", "sft_weak", "explore", "tree")
    assert opened(tmp_path, VERIFIED)
    journal = tmp_path / ".continuations-0123456789abcdef.journal"
    journal.write_text("played")
    assert opened(tmp_path, VERIFIED, "tree_dpo.beta=0.3")
    with pytest.raises(RunDirectoryError, match=r"continuations that was interrupted .*--redo"):
        opened(tmp_path, VERIFIED, changed)
    assert opened(tmp_path, VERIFIED, changed, force=("continuations",))
    assert opened(tmp_path, VERIFIED, redo=True)
    assert opened(tmp_path, VERIFIED, changed, redo=True)
    assert journal.exists()


def test_an_interrupted_exploration_is_asked_about_its_own_seed_alone(tmp_path: Path) -> None:
    make(tmp_path, "tasks", "demonstrations")
    (tmp_path / ".explore-0123456789abcdef.journal").write_text("played")
    assert opened(tmp_path, "seeds.evaluate=4")
    with pytest.raises(RunDirectoryError, match="explore that was interrupted would begin anew"):
        opened(tmp_path, "seeds={evaluate: 4, explore: 4}")
    with pytest.raises(RunDirectoryError, match="explore that was interrupted would begin anew"):
        opened(tmp_path, "seeds.evaluate=4", "seed=1")


def test_a_run_of_before_goes_on(tmp_path: Path) -> None:
    """Its records know no `seeds`, and its forest's stage was told of the methods' sections."""
    make(tmp_path)
    for file in (tmp_path / "config.json", *tmp_path.glob("*/manifest.json")):
        record = json.loads(file.read_text())
        del record.get("config", record)["seeds"]
        file.write_text(json.dumps(record))
    directory, changed = opened(tmp_path)
    assert changed == []
    assert json.loads((tmp_path / "config.json").read_text())["seeds"] == {}
    assert directory.is_current(StageSpec("tree", ("explore",), reads=("merge", "search")))
    assert opened(tmp_path, "seeds.tree_dpo=4")[1] == ["tree_dpo", "report"]
    with pytest.raises(RunDirectoryError, match=r"seeds.explore: None there, 4 now.*--redo"):
        opened(tmp_path, "seeds={explore: 4, tree_dpo: 4}")


def test_a_torn_manifest_is_redone_by_force_under_other_keys_too(tmp_path: Path) -> None:
    """What the refusal says to give is enough."""
    make(tmp_path)
    (tmp_path / "tree" / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunDirectoryError, match=r"redo the stage with --force tree"):
        opened(tmp_path, "tree_dpo.beta=0.3")
    assert opened(tmp_path, "tree_dpo.beta=0.3", force=("tree",))[1] == ["tree_dpo", "report"]
