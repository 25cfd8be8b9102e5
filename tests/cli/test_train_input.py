"""What `w2stree train` takes of a folder of runs: what is held out in it is not learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.cli.inputs import Source
from w2stree.cli.train_input import forest_of

RUN = w2s.Trajectory(
    "t", (w2s.Message("user", "Go."),), (w2s.Step("a", "b", "Action: a"),), 1.0, "done"
)


def tasks(*paths: str) -> tuple[list[str], dict[str, int]]:
    """Of the runs to learn from; and what was left out."""
    runs, forest = forest_of(Source(paths=list(paths)), None, None, None)
    found = sorted(run.task_id for run in runs.trajectories)
    assert sorted(forest.task_ids) == found
    return found, runs.skipped


def write(file: Path, task: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    w2s.write_trajectories(file, [replace(RUN, task_id=task)])


@pytest.mark.parametrize("data", ["data", "."])
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_of_a_folder_of_splits_only_train_is_learned(
    tmp_path: Path, data: str, ending: str
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    elif data == "data":
        pytest.skip("a hub's folder holds Parquet")
    (tmp_path / "README.md").write_text("---\nconfigs: []\n---\n")
    for split in ("train", "test", "validation"):
        write(tmp_path / data / f"{split}.{ending}", split)
    held_out = (tmp_path / data / f"{split}.{ending}" for split in ("test", "validation"))
    skipped = {f"held out ({path})": 1 for path in held_out}
    assert tasks(str(tmp_path)) == (["train"], skipped)


def test_of_a_store_of_splits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zstandard")
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        write(Path(f"logs/{split}.jsonl"), split)
    assert main(["store", "add", "all", "logs"]) == 0
    assert tasks("all") == (["train"], {"held out (all/logs/test.jsonl)": 1})


def test_other_files_beside_train_are_learned_too(tmp_path: Path) -> None:
    for name in ("train-1", "test_set", "more", "testimony"):
        write(tmp_path / f"{name}.jsonl", name)
    skipped = {f"held out ({tmp_path / 'test_set.jsonl'})": 1}
    assert tasks(str(tmp_path)) == (["more", "testimony", "train-1"], skipped)


def test_what_is_no_split_is_as_it_was_given(tmp_path: Path) -> None:
    for name in ("test", "dev"):
        write(tmp_path / f"{name}.jsonl", name)
    assert tasks(str(tmp_path)) == (["dev", "test"], {}), "there is no train"
    write(tmp_path / "train.jsonl", "train")
    assert tasks(str(tmp_path / "test.jsonl")) == (["test"], {}), "named by the user"


def test_splits_that_datasets_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from w2stree.formats.writing import write_trajectories

    runs = [RUN, replace(RUN, task_id="u")]
    write_trajectories(tmp_path / "m.jsonl", runs, format="messages")
    rows = datasets.Dataset.from_json(str(tmp_path / "m.jsonl"), cache_dir=str(tmp_path / "c"))
    splits = {"train": rows.select([0]), "test": rows.select([1])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "d")
    skipped = {f"held out ({tmp_path / 'd' / 'test'})": 1}
    assert tasks(str(tmp_path / "d")) == (["t"], skipped)
