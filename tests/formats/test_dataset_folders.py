"""Data sets of Hugging Face's: saved with `datasets` itself, or as the hub lays them out."""

from __future__ import annotations

import json
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.agenttraj_runs import inferred
from support.eto_runs import explored
from support.played_runs import RUNS
from support.tau_bench_runs import CANCELLED, result

from w2stree import InvalidInput
from w2stree.formats import tau_bench
from w2stree.formats.reader import Choices, Reader
from w2stree.formats.reading import read_files, read_trajectories

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MESSAGES = [
    {"role": "user", "content": "Take the cup."},
    {"role": "assistant", "content": "Action: look"},
]
CARD = "---\nconfigs:\n- config_name: default\n---\n# Runs\n"


def by_lines(folder: Path, records: list[Any]) -> list[Any]:
    file = folder / "beside.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    runs = read_trajectories(file)
    file.unlink()
    return runs


def write_stream(file: Path, rows: list[Any]) -> None:
    """As `datasets` writes: Arrow's stream, in batches."""
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(rows)
    with pyarrow.OSFile(str(file), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table, max_chunksize=2)


def save(folder: Path, rows: list[Any], *, split: str = "train") -> Path:
    """The layout of `Dataset.save_to_disk`, of two shards."""
    names = [f"data-0000{i}-of-00002.arrow" for i in range(2)]
    write_stream(folder / names[0], rows[:1])
    write_stream(folder / names[1], rows[1:])
    state = {"_split": split, "_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}}))
    return folder


@pytest.mark.parametrize("record", [explored, inferred])
def test_what_datasets_saves_is_read_as_its_records_are(record: Any, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    records = [record(run) for run in RUNS]
    for i, given in enumerate(records):
        given["id"] = f"t{i}"
    expected = by_lines(tmp_path, records)
    saved = datasets.Dataset.from_list(records)
    saved.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=saved, test=saved.select([0])).save_to_disk(tmp_path / "dict")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = read_trajectories(tmp_path / "one")
    assert [(t.task_id, t.steps, t.total_return, t.status) for t in one] == [
        (t.task_id, t.steps, t.total_return, t.status) for t in expected
    ]
    whole = read_files(tmp_path / "dict")
    assert whole.found["split"] == {"test": 1, "train": 3}
    assert read_files(tmp_path / "dict" / "test").found["split"] == {"test": 1}


def test_what_has_no_fixed_type_is_read_as_the_json_that_it_is(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "task_id": datasets.Value("string"),
            "reward": datasets.Value("float64"),
            "info": datasets.Json(),
            "traj": datasets.Value("string"),
        }
    )
    given = result(*CANCELLED)
    row = {"task_id": "3", "reward": 1.0, "info": given["info"], "traj": json.dumps(given["traj"])}
    datasets.Dataset.from_list([row], features=features).save_to_disk(tmp_path / "saved")
    (run,) = read_trajectories(tmp_path / "saved")
    (expected,) = tau_bench.runs(given, "here", Reader())
    assert run.steps == expected.steps
    assert run.info["info"] == given["info"]  # with its nulls


def test_what_a_map_left_behind_is_no_data(tmp_path: Path) -> None:
    folder = save(tmp_path / "saved", [explored(run) | {"id": "t"} for run in RUNS])
    write_stream(folder / "cache-1f2e3d.arrow", [explored(RUNS[0]) | {"id": "t"}])
    read = read_files(folder)
    assert len(read.reading.trajectories) == 3
    told = {entry.path.name: entry.reason for entry in read.reading.passed_over}
    assert told["cache-1f2e3d.arrow"] == "none of the data that state.json names"
    (cached,) = read_trajectories(folder / "cache-1f2e3d.arrow")  # when it is asked for
    assert cached.task_id == "t"


def test_a_snapshot_of_the_hub_is_read_with_its_folders(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / ".gitattributes").write_text("*.parquet filter=lfs\n")
    (tmp_path / "data").mkdir()
    for split, played in (("train", RUNS[:2]), ("test", RUNS[2:])):
        rows = [inferred(run) for run in played]
        parquet.write_table(
            pyarrow.Table.from_pylist(rows), tmp_path / "data" / f"{split}-00000-of-00001.parquet"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = read_trajectories(tmp_path)
    assert [run.task_id for run in runs] == ["kitchen_2", "kitchen_1", "kitchen_1"]
    assert read_files(tmp_path).found["split"] == {"test": 1, "train": 2}


def test_a_list_of_json_in_a_snapshot(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "webshop_sft.json"
    file.write_text(json.dumps([inferred(run) for run in RUNS]))
    assert len(read_trajectories(tmp_path)) == 3


def test_times_and_decimal_numbers_are_texts(tmp_path: Path) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5)
    row = {"task_id": "t", "reward": 1.0, "messages": MESSAGES, "when": when}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    (run,) = read_trajectories(tmp_path / "a.parquet")
    assert run.info == {"when": "2026-01-02T03:04:05"}


def test_a_time_that_no_calendar_has_is_told(tmp_path: Path) -> None:
    row = {"task_id": "t", "reward": 1.0, "messages": MESSAGES}
    table = pyarrow.Table.from_pylist([row])
    never = pyarrow.array([2**50], pyarrow.timestamp("ms"))
    parquet.write_table(table.append_column("when", never), tmp_path / "a.parquet")
    with pytest.raises(InvalidInput, match=r"a\.parquet: cannot be read after row 0"):
        read_trajectories(tmp_path / "a.parquet")


def test_a_column_of_bytes_is_refused_by_row_and_name(tmp_path: Path) -> None:
    row = {"task_id": "t", "reward": 1.0, "messages": MESSAGES, "image": b"PNG"}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    with pytest.raises(InvalidInput, match=r"a\.parquet: row 1: .*info\['image'\]: .*is bytes"):
        read_trajectories(tmp_path / "a.parquet")


def test_a_snapshot_without_its_large_files_says_so(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD)
    file = tmp_path / "train-00000-of-00001.parquet"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 9\n")
    with pytest.raises(InvalidInput, match=r"train-.*parquet: no data .*git lfs pull"):
        read_trajectories(tmp_path)


def test_a_shard_that_is_missing_is_told(tmp_path: Path) -> None:
    folder = save(tmp_path / "saved", [explored(run) for run in RUNS])
    (folder / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(
        InvalidInput, match=r"state\.json: names the file data-00001-of-00002\.arrow, .*copy the"
    ):
        read_trajectories(folder)


def test_a_split_that_is_missing_is_told(tmp_path: Path) -> None:
    save(tmp_path / "train", [explored(run) for run in RUNS])
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    with pytest.raises(InvalidInput, match=r"dataset_dict\.json: names the split test, .*copy"):
        read_trajectories(tmp_path)


@pytest.mark.parametrize("num_cut", [8, 200])
def test_a_shard_that_was_cut_is_told_with_the_row(num_cut: int, tmp_path: Path) -> None:
    """Also where it was cut between two batches, which Arrow takes for the end."""
    folder = save(tmp_path / "saved", [explored(run) | {"id": "t"} for run in RUNS])
    file = folder / "data-00001-of-00002.arrow"
    file.write_bytes(file.read_bytes()[:-num_cut])
    with pytest.raises(InvalidInput, match=r"data-00001-of-00002\.arrow: cannot be read after row"):
        read_trajectories(folder)


@pytest.mark.parametrize("state", ["{", "[]", "{}", '{"_data_files": 3}', '{"_data_files": [3]}'])
def test_another_tools_state_makes_no_data_set(state: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(state)
    record = {"task_id": "t", "reward": 1.0, "messages": MESSAGES}
    (tmp_path / "runs.jsonl").write_text(json.dumps(record) + "\n")
    read = read_files(tmp_path, choices=Choices())
    assert len(read.reading.trajectories) == 1
    assert "split" not in read.found
