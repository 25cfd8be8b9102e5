"""Trajectories as tables: read back equal in every field, and the same forest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.any_records import RECORDS, forest_or_refusal
from support.strategies import episode

import w2stree as w2s
from w2stree.errors import FilesPassedOver, InvalidInput, RepeatedTrajectories
from w2stree.trajectories.files import read_files
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.records import Records
from w2stree.trajectories.tables import is_table, write_table
from w2stree.trajectories.trajectory import Message, Step, Trajectory

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")

pytestmark = pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories",
                                        "ignore::w2stree.errors.TurnsWithoutAction")  # fmt: skip

RUNS = [
    replace(episode("ab", 1.0), origin=Origin(sample_index=0, seed=0)),
    replace(episode("aB", 0.5, status="error"), origin=Origin(error="boom")),
    Trajectory(
        "other",
        (Message("system", "Be brief."), Message("user", "Go.")),
        (Step("go", "Ok.", "Thought: go.\nAction: go", (1, 2), (-0.5, -1.0), 0.5, (), True),),
        -2.0,
        "truncated",
        Origin(temperature=0.7, top_p=1.0, policy="p", raw_return=3.0),
        {"a": [1, 1.5, None, {"b": "\ud800"}]},
    ),
]


def account(path: Path) -> list[Any]:
    """What `read_files` says beside places, which differ."""
    reading = read_files(path)
    return [reading.num_repeated, reading.num_alike, reading.num_differing, reading.files[path]]


def _empty(num_steps: int) -> dict[str, Any]:
    steps = [{"action": "", "observation": ""}] * num_steps
    prompt = [{"role": "user", "content": "Find the coin."}]
    return {"task_id": "a", "prompt": prompt, "steps": steps, "total_return": 0, "status": "done"}


# A run without a step has the gist of one whose texts are empty: equal ones are found all the same.
@example([_empty(0), _empty(1), _empty(1)])
@given(st.lists(RECORDS, max_size=6))
def test_trajectories_come_back_and_make_the_same_forest(records: list[dict[str, Any]]) -> None:
    runs = [Trajectory.of_record(record) for record in records]
    with TemporaryDirectory() as folder:
        table, lines = Path(folder) / "a.parquet", Path(folder) / "a.jsonl"
        write_table(table, runs)
        w2s.write_trajectories(lines, runs)
        assert is_table(table) and not is_table(lines)
        assert account(table) == account(lines)
        read, of_lines = read_files(table).trajectories, read_files(lines).trajectories
        assert type(read) is Records
        assert [repr(t) for t in read] == [repr(t) for t in of_lines]
        assert forest_or_refusal(read) == forest_or_refusal(of_lines)


def test_one_path_reads_and_writes_either(tmp_path: Path) -> None:
    w2s.write_trajectories(tmp_path / "a.parquet", RUNS)
    read = w2s.read_trajectories(tmp_path)
    assert type(read) is Records and read == RUNS and read[2] == RUNS[2]
    forest = w2s.build_forest(read)
    assert forest.digest() == w2s.build_forest(RUNS).digest()
    assert list(forest.trajectories) == [RUNS[0], RUNS[2]]
    with pytest.warns(FilesPassedOver, match=r"a\.parquet: row 1: no reward at"):
        scored = w2s.read_trajectories(tmp_path, reward="origin.raw_return", on_error="skip")
    assert [t.total_return for t in scored][-1:] == [3.0]


def test_several_tables_are_one_reading_and_lines_may_lie_beside_them(tmp_path: Path) -> None:
    w2s.write_trajectories(tmp_path / "a.parquet", RUNS[:1])
    w2s.write_trajectories(tmp_path / "b.parquet", RUNS)
    with pytest.warns(RepeatedTrajectories, match=r"^1 trajectory is twice.*b\.parquet: row 1 is"):
        read = w2s.read_trajectories(tmp_path)
    assert type(read) is Records and read == RUNS
    w2s.write_trajectories(tmp_path / "c.jsonl", [episode("b", 0.0)])
    with pytest.warns(RepeatedTrajectories):
        assert w2s.read_trajectories(tmp_path) == [*RUNS, episode("b", 0.0)]


def test_groups_of_rows_and_dictionaries_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where texts are too many for one dictionary, so that pyarrow mixes encodings."""
    monkeypatch.setattr("w2stree.trajectories.tables._ROWS_PER_GROUP", 300)
    runs = [
        Trajectory(f"t{i % 7}", (), (Step(f"{i} " * 400, f"{i}" * 900),) * 2, float(i % 3), "done")
        for i in range(1_000)
    ]
    w2s.write_trajectories(tmp_path / "a.parquet", runs)
    read = read_files(tmp_path / "a.parquet").trajectories
    assert read == runs
    assert [read[i] for i in (999, 0, 300, 299, 600)] == [runs[i] for i in (999, 0, 300, 299, 600)]
    assert w2s.build_forest(read).digest() == w2s.build_forest(runs).digest()


def test_one_task_with_two_prompts_is_refused(tmp_path: Path) -> None:
    other = replace(RUNS[0], prompt=(), total_return=0.0)
    write_table(tmp_path / "a.parquet", [*RUNS, other])
    with pytest.raises(InvalidInput, match=r"^trajectories\[0\] and trajectories\[3\] have task_"):
        w2s.build_forest(read_files(tmp_path / "a.parquet").trajectories)


@pytest.mark.parametrize(
    "wrong", [replace(RUNS[0], task_id="\ud800"), replace(RUNS[0], origin=Origin(seed=2**63))]
)
def test_what_a_table_cannot_hold_is_refused(wrong: Trajectory, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^task '.*: a table cannot hold it .*write \.jsonl$"):
        w2s.write_trajectories(tmp_path / "a.parquet", [RUNS[0], wrong])
    not_one: Any = [RUNS[0], {}]
    with pytest.raises(TypeError, match=r"^trajectories\[1\] is dict; expected Trajectory$"):
        w2s.write_trajectories(tmp_path / "a.parquet", not_one)
    assert list(tmp_path.iterdir()) == []


def rewritten(path: Path, change: Any) -> None:
    """As another program writes it that knows no better."""
    table = change(pq.read_table(path))
    pq.write_table(table, path)


def with_column(name: str, values: list[Any]) -> Any:
    def change(table: Any) -> Any:
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        return table.set_column(at, field, pa.array(values, field.type))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_column("status", ["done", "lost", "done"]),
         r"a\.parquet: row 2: status is 'lost'; use one of"),
        (lambda t: t.replace_schema_metadata({"w2stree.trajectories": "2"}),
         r"a\.parquet: version 2 of our tables, and this w2stree reads 1: "),
        (lambda t: t.drop_columns(["info"]), r"a\.parquet: column info is not there; version 1 of"),
        (lambda t: t.set_column(3, "total_return", pa.array([1, 2, 3])),
         r"a\.parquet: column total_return is .*int64; version 1 of our tables has .*double"),
        (with_column("info", ["{}", "{}", '{"a":1,"a":2}']),
         r"a\.parquet: row 3: info: the key 'a' is given twice"),
    ],
)  # fmt: skip
def test_a_table_that_others_changed_is_refused_by_its_place(
    change: Any, told: str, tmp_path: Path
) -> None:
    write_table(tmp_path / "a.parquet", RUNS)
    rewritten(tmp_path / "a.parquet", change)
    with pytest.raises(InvalidInput, match=told):
        list(w2s.read_trajectories(tmp_path))


@pytest.mark.parametrize("keep", [4, 100, 0.5, 0.99])
def test_a_damaged_table_is_refused(keep: float, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, RUNS)
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep >= 1 else int(keep * len(data))])
    with pytest.raises(InvalidInput, match=r"a\.parquet: a damaged Parquet file: "):
        w2s.read_trajectories(tmp_path)
