"""ALFWorld's expert runs, written as many tools write runs: one forest through every importer.

The data are `$ALFWORLD_DATA` or `../shared/data/alfworld`. The first 60 runs always, all 3,554
with `pytest -m slow tests/formats/test_alfworld_everywhere.py`.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support import agenttraj_runs, eto_runs
from support.played_runs import Played, Turn

from w2stree import Message, Step, Trajectory, build_forest
from w2stree.formats import FORMATS
from w2stree.formats.format import Format
from w2stree.formats.left_over import FIELD
from w2stree.formats.reading import read_files, read_trajectories
from w2stree.formats.writing import write_trajectories

SHARED = Path(__file__).parents[3] / "shared" / "data" / "alfworld"
GAMES = Path(os.environ.get("ALFWORLD_DATA", SHARED)) / "train.jsonl.gz"

pytestmark = pytest.mark.skipif(
    not GAMES.is_file(),
    reason="no pack of ALFWorld games: set ALFWORLD_DATA or put it in ../shared/data/alfworld",
)
of_some_and_all = pytest.mark.parametrize(
    "num_runs", [60, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"]
)

THOUGHT = "I go on."


@lru_cache(maxsize=1)
def played(num_runs: int | None) -> list[Played]:
    with gzip.open(GAMES, "rt", encoding="utf-8") as lines:
        games = [json.loads(line) for line in islice(lines, num_runs)]
    return [_played(game["id"], game["gt"]) for game in games if game["gt"]]


def _played(game_id: str, gt: list[str]) -> Played:
    turns = zip(gt[1::2], gt[2::2], strict=True)
    return Played(game_id, gt[0], tuple(Turn(THOUGHT, *turn) for turn in turns), 1.0)


def runs_of(num_runs: int | None) -> list[Trajectory]:
    """What every importer is to make of them; the answers as ETO writes them."""
    return [
        Trajectory(
            run.task_id,
            (Message("user", run.task),),
            tuple(Step(t.action, f"Observation: {t.answer}", t.said) for t in run.turns),
            run.score,
            "done",
        )
        for run in played(num_runs)
    ]


def eto(run: Played) -> Any:
    return eto_runs.explored(run) | {"id": run.task_id}


def experts_list(run: Played) -> Any:
    """With the last answer, which ETO's own list leaves out."""
    record = eto_runs.expert(run)
    record["conversations"].append(eto_runs.said(run.turns[-1:])[-1])
    return record


def agenttraj(run: Played) -> Any:
    turns = tuple(Turn(t.thought, t.action, f"Observation: {t.answer}") for t in run.turns)
    return agenttraj_runs.inferred(Played(run.task_id, run.task, turns, run.score))


def sharegpt(run: Played) -> Any:
    said = eto_runs.said(run.turns)
    opening = {"from": "human", "value": run.task}
    return {"id": run.task_id, "conversations": [opening, *said], "reward": run.score}


def messages(run: Played) -> Any:
    roles = {"human": "user", "gpt": "assistant"}
    said = [{"role": roles[m["from"]], "content": m["value"]} for m in eto_runs.said(run.turns)]
    opening = {"role": "user", "content": run.task}
    return {"task_id": run.task_id, "messages": [opening, *said], "reward": run.score}


@of_some_and_all
@pytest.mark.parametrize("record", [eto, experts_list, agenttraj, sharegpt, messages])
@pytest.mark.parametrize("container", ["jsonl", "json", "parquet"])
def test_as_their_tools_write_them(
    record: Callable[[Played], Any], container: str, num_runs: int | None, tmp_path: Path
) -> None:
    records = [record(run) for run in played(num_runs)]
    read = read_files(_written(tmp_path / f"runs.{container}", records))
    runs = read.reading.trajectories
    assert len(runs) == len(records)
    assert not read.skipped
    assert build_forest(runs).digest() == build_forest(runs_of(num_runs)).digest()


@of_some_and_all
@pytest.mark.parametrize(
    "known", [f for f in FORMATS if f.record_of is not None], ids=lambda f: f.name
)
def test_as_we_write_them(known: Format, num_runs: int | None, tmp_path: Path) -> None:
    """Without the field of our own, that only the format's fields are read."""
    assert known.record_of is not None
    runs = runs_of(num_runs)
    records = [dict(known.record_of(run)) for run in runs]
    for record in records:
        record.pop(FIELD, None)
    read = read_trajectories(_written(tmp_path / "runs.jsonl", records))
    assert build_forest(read).digest() == build_forest(runs).digest()


@of_some_and_all
@pytest.mark.parametrize("name", ["log.eval", "spans.jsonl"])
def test_as_we_write_whole_files(name: str, num_runs: int | None, tmp_path: Path) -> None:
    runs = runs_of(num_runs)
    known = "inspect" if name == "log.eval" else "opentelemetry"
    write_trajectories(tmp_path / name, runs, format=known)
    read = read_files(tmp_path / name)
    assert list(read.formats.values()) == [known]
    assert build_forest(read.reading.trajectories).digest() == build_forest(runs).digest()


@of_some_and_all
def test_as_our_own_tables(num_runs: int | None, tmp_path: Path) -> None:
    runs = runs_of(num_runs)
    write_trajectories(tmp_path / "runs.parquet", runs)
    assert read_trajectories(tmp_path / "runs.parquet") == runs


def _written(file: Path, records: list[Any]) -> Path:
    if file.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        table = pytest.importorskip("pyarrow.parquet")
        table.write_table(pyarrow.Table.from_pylist(records), file)
    elif file.suffix == ".json":
        file.write_text(json.dumps(records))
    else:
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file
