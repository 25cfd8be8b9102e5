"""Rows on disk: every trainer's layout, every kind of file, equal to what the rows say."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.hall_runs import CALLS, RUNS, preferences, without_none

import w2stree as w2s
from w2stree.errors import InvalidInput
from w2stree.rows import rows as made_rows
from w2stree.rows.columns import TokenRow
from w2stree.rows.judged import judged_runs, judged_sides
from w2stree.rows.presets import PRESETS
from w2stree.rows.questions import questions
from w2stree.rows.rows import preference_rows, stream_preference_rows
from w2stree.rows.writing import write_rows


def lines(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def said(row: Any, side: Any, begin: int, end: int | None) -> list[dict[str, str]]:
    found = []
    for step in side.steps[begin:end]:
        found.append({"role": "assistant", "content": step.response})
        found.append({"role": "user", "content": step.observation.replace("\ud800", "\ufffd")})
    return found


@pytest.mark.parametrize("completion", ["step", "suffix"])
def test_a_row_says_what_the_preference_says(tmp_path: Path, completion: Any) -> None:
    rows = preferences(completion=completion)
    written = write_rows(tmp_path / "r.jsonl", rows, sources=lambda run: f"at {run.total_return}")
    found = lines(tmp_path / "r.jsonl")
    assert written.num_rows == len(rows) == len(found) == 9 and not written.skipped
    for row, record in zip(rows, found, strict=True):
        prompt = [{"role": m.role, "content": m.content} for m in row.chosen.prompt]
        assert record["prompt"] == prompt + said(row, row.chosen, 0, row.begin)
        assert record["chosen"] == said(row, row.chosen, row.begin, row.end)[:-1]
        assert record["rejected"] == said(row, row.rejected, row.begin, row.end)[:-1]
        assert record["chosen_mask"] == [1, 0, 1][: len(record["chosen"])]
        beside = ("task_id", "divergence", "gap", "chosen_return", "rejected_return")
        assert [record[n] for n in beside] == [getattr(row, n) for n in beside]
        assert (record["depth"], record["num_chosen"], record["num_rejected"]) == (1, 1, 1)
        assert record["source"] == [
            f"at {row.chosen.total_return}", f"at {row.rejected.total_return}"
        ]  # fmt: skip
    assert bool(written.remarks) == (completion == "suffix")


@pytest.mark.parametrize("ending", ["jsonl.gz", "jsonl.zst", "parquet", "arrow"])
@pytest.mark.parametrize("runs", [RUNS, CALLS])
def test_every_ending_holds_the_same(tmp_path: Path, ending: str, runs: Any) -> None:
    datasets = pytest.importorskip("datasets")
    rows = preferences(runs, "suffix")
    write_rows(tmp_path / "r.jsonl", rows)
    write_rows(tmp_path / f"r.{ending}", rows)
    kind = {"parquet": "parquet", "arrow": "arrow"}.get(ending, "json")
    file = str(tmp_path / f"r.{ending}")
    found = datasets.load_dataset(kind, data_files=file, split="train", cache_dir=tmp_path / "c")
    assert [without_none(row) for row in found] == [
        without_none(r) for r in lines(tmp_path / "r.jsonl")
    ]


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for ending in ("jsonl", "jsonl.gz", "parquet", "arrow"):
        for name in ("one", "two"):
            write_rows(tmp_path / f"{name}.{ending}", preferences())
        one, two = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
        assert one == two


def test_tool_calls_are_structure(tmp_path: Path) -> None:
    write_rows(tmp_path / "r.jsonl", preferences(CALLS))
    (row,) = lines(tmp_path / "r.jsonl")
    call = {"id": "c1", "type": "function", "function": {"name": "go", "arguments": '{"to":"x"}'}}
    assert row["chosen"] == [{"role": "assistant", "content": "", "tool_calls": [call]}]
    write_rows(tmp_path / "s.jsonl", [replace(CALLS[0], steps=CALLS[0].steps * 2)])
    (conversation,) = lines(tmp_path / "s.jsonl")
    answer = {"role": "tool", "content": "There.", "tool_call_id": "c1", "name": "go"}
    assert conversation["messages"][3] == answer
    for trainer in ("axolotl", "llama-factory"):
        with pytest.raises(InvalidInput, match="1 with tool calls, which this trainer does not"):
            write_rows(tmp_path / "no.jsonl", preferences(CALLS), preset=trainer)
    assert not list(tmp_path.glob("*no.jsonl*"))


@pytest.mark.parametrize("trainer", ["axolotl", "llama-factory"])
def test_trainers_of_single_messages(tmp_path: Path, trainer: str) -> None:
    """A continuation of one turn is one message."""
    short = [r for r in RUNS if r.total_return != 0.25]
    short[0] = replace(short[0], steps=short[0].steps[:2])
    written = write_rows(tmp_path / "r.jsonl", preferences(short, "suffix"), preset=trainer)
    assert written.num_rows == 1
    assert written.skipped == {"of more than one turn, where this trainer reads one message": 2}


def test_llama_factory_finds_its_columns(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    written = write_rows(f"{tmp_path}/d/", preferences(), preset="llama-factory")
    info = json.loads((tmp_path / "d/dataset_info.json").read_text())["w2stree_train"]
    assert (tmp_path / "d" / info["file_name"]).exists() and info["ranking"] is True
    assert (
        "ranking"
        in write_rows(tmp_path / "r.jsonl", preferences(), preset="llama-factory").settings
    )
    row = lines(tmp_path / "r.jsonl")[0]
    assert set(info["columns"].values()) <= set(row)
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant", "user"]
    assert row["chosen"]["role"] == row["rejected"]["role"] == "assistant"
    assert written.num_rows == 9
    judged = judged_sides(preferences())
    write_rows(tmp_path / "k.jsonl", judged, preset="llama-factory")
    row = lines(tmp_path / "k.jsonl")[0]
    assert row["messages"][-1]["role"] == "assistant" and row["kto_tag"] is True
    with pytest.raises(InvalidInput, match="9 whose messages are not of user and assistant"):
        odd = [replace(r, prompt=(*r.prompt, w2s.Message("user", "Go."))) for r in RUNS]
        write_rows(tmp_path / "odd.jsonl", preferences(odd), preset="llama-factory")


def test_verl_reads_parquet_prompts(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_rows(tmp_path / "r.parquet", questions(RUNS), preset="verl")
    row = parquet.read_table(tmp_path / "r.parquet").to_pylist()[1]
    assert row["prompt"][-1] == {"role": "user", "content": "Task b."}
    assert row["extra_info"] == {"index": 1, "task_id": "b"}
    assert row["reward_model"] == {"style": "rule", "ground_truth": "b"}
    assert (row["num_runs"], row["least_return"], row["greatest_return"]) == (3, 0.0, 1.0)
    with pytest.raises(InvalidInput, match=r"r.jsonl: verl opens .parquet"):
        write_rows(tmp_path / "r.jsonl", questions(RUNS), preset="verl")


def test_judged_sides_say_who_won(tmp_path: Path) -> None:
    """left beats right and wait, right beats wait: right won 0.25 and lost 0.75."""
    found = judged_sides(preferences())
    verdicts = {(r.run.task_id, r.run.steps[1].action): r for r in found}
    assert {a: verdicts["a", a].is_wanted for a in ("left", "right", "wait")} == {
        "left": True, "right": False, "wait": False,
    }  # fmt: skip
    assert verdicts["a", "right"].gap == (0.75 - 0.25) / 2
    write_rows(tmp_path / "k.jsonl", found)
    record = lines(tmp_path / "k.jsonl")[0]
    assert len(record["completion"]) == 1 and record["label"] is True


def test_failures_alone_are_judged_too(tmp_path: Path) -> None:
    failures = [r for r in RUNS if r.total_return < 1]
    write_rows(tmp_path / "k.jsonl", judged_runs(failures))
    assert [r["label"] for r in lines(tmp_path / "k.jsonl")] == [False] * 6
    assert lines(tmp_path / "k.jsonl")[0]["gap"] == 0.75


def test_a_split_is_by_what_tasks_ask(tmp_path: Path) -> None:
    """Tasks of equal openings are one task, whatever their ids; pairs and paths agree."""
    twins = [replace(r, task_id=f"twin of {r.task_id}") for r in RUNS]
    runs = [*RUNS, *twins]
    rows = preferences(runs)
    written = write_rows(tmp_path / "r.jsonl", rows, holdout=0.34, seed=3, runs=runs)
    assert [f.name for f in written.files] == ["r.jsonl", "r.test.jsonl"]
    parts = [{json.dumps(r["prompt"][:2]) for r in lines(f)} for f in written.files]
    assert [len(p) for p in parts] == [2, 1] and not parts[0] & parts[1]
    write_rows(tmp_path / "s.jsonl", runs, holdout=0.34, seed=3)
    held = {json.dumps(r["messages"][:2]) for r in lines(tmp_path / "s.test.jsonl")}
    assert held == parts[1]
    with pytest.raises(InvalidInput, match="holds out one"):
        write_rows(tmp_path / "t.jsonl", rows, holdout=0.1)


def test_a_folder_is_a_data_set(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write_rows(f"{tmp_path}/d/", preferences(), holdout=0.34)
    found = datasets.load_dataset(str(tmp_path / "d"), cache_dir=tmp_path / "cache")
    assert {name: len(part) for name, part in found.items()} == {"train": 6, "test": 3}
    card = (tmp_path / "d/README.md").read_text(encoding="utf-8")
    assert "| train | 6 |" in card and "`gap`" in card
    with pytest.raises(InvalidInput, match="holds something"):
        write_rows(f"{tmp_path}/d/", preferences())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "d"]


def test_a_private_folder_stays_private(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "d").mkdir(mode=0o700)
    write_rows(f"{tmp_path}/d/", preferences())
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700


def test_data_sets_of_one_name_are_not_taken_for_one_another(tmp_path: Path) -> None:
    """`datasets` keeps what it has read by the folder's name and the card's head."""
    datasets = pytest.importorskip("datasets")
    read = []
    for parent, rows in (("a", preferences()), ("b", preferences(RUNS[:3]))):
        (tmp_path / parent).mkdir()
        write_rows(f"{tmp_path}/{parent}/d/", rows)
        found = datasets.load_dataset(f"{tmp_path}/{parent}/d", cache_dir=tmp_path / "cache")
        read.append(len(found["train"]))
    assert read == [9, len(preferences(RUNS[:3]))] and read[0] != read[1]


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")

    def breaking() -> Any:
        yield from preferences()
        raise RuntimeError("torn")

    (tmp_path / "r.jsonl").write_text("before")
    for name in ("r.jsonl", "r.jsonl.gz", "r.parquet", "r.arrow", "d/"):
        with pytest.raises(RuntimeError, match="torn"):
            write_rows(f"{tmp_path}/{name}", breaking(), runs=RUNS)
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"]
    assert (tmp_path / "r.jsonl").read_text() == "before"


def test_rows_of_tokens(tmp_path: Path) -> None:
    ids = {"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}
    write_rows(tmp_path / "t.jsonl", [TokenRow(ids, RUNS[0])])
    assert lines(tmp_path / "t.jsonl")[0].items() >= ids.items()
    write_rows(tmp_path / "t.jsonl", [TokenRow(ids, RUNS[0])], preset="axolotl")
    assert lines(tmp_path / "t.jsonl")[0]["attention_mask"] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "rows", "preset", "message"),
    [
        ("r.jsonl", [], "trl", "no rows to write"),
        ("r.jsonl", [1], "trl", r"rows\[0\] is int, which is no row"),
        ("r.jsonl", [RUNS[0], *preferences()], "trl", r"rows\[1\] is PreferenceRow, and the first"),
        ("r.csv", RUNS, "trl", r"r\.csv: rows are written by the file's ending: \.jsonl"),
        ("r.jsonl", RUNS, "trex", "no trainer 'trex' is known; use one of trl, verl"),
        ("r.parquet", preferences(), "verl", "verl has no trainer of preferences"),
        ("r.jsonl", judged_runs(RUNS), "axolotl", "axolotl: no judged turns or runs"),
        ("r.jsonl.gz", RUNS, "openrlhf", r"openrlhf opens \.jsonl, \.parquet, \.arrow"),
        ("r.jsonl", [replace(RUNS[0], steps=())], "trl", "1 without a turn"),
        ("r.jsonl", [replace(RUNS[0], status="error")], "trl", "1 that ended in an error"),
        ("r.jsonl", [replace(RUNS[0], prompt=())], "trl", "has no prompt"),
        (
            "r.jsonl",
            [replace(RUNS[0], steps=(w2s.Step("go", "There."),))],
            "trl",
            "1 without words: their log kept actions",
        ),
    ],
)
def test_refusals(tmp_path: Path, name: str, rows: Any, preset: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        write_rows(tmp_path / name, rows, preset=preset)
    assert list(tmp_path.iterdir()) == []


def test_what_json_has_no_word_for(tmp_path: Path) -> None:
    runs = [replace(RUNS[i], total_return=g) for i, g in ((0, 1.7e308), (1, -1.7e308))]
    with pytest.raises(InvalidInput, match="gap is inf, which JSON has no word for"):
        write_rows(tmp_path / "r.jsonl", preferences(runs))


@pytest.mark.parametrize(("at_once", "num_blocks"), [(1, 3), (13, 2), (8192, 1)])
def test_blocks_are_the_rows_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, at_once: int, num_blocks: int
) -> None:
    """Tasks with equal prompts meet, wherever they stand; nothing else changes."""
    monkeypatch.setattr(made_rows, "_PAIRS_AT_ONCE", at_once)
    twins = [replace(r, task_id=f"twin of {r.task_id}", total_return=0.5) for r in RUNS]
    pairs = w2s.build_forest([*RUNS, *twins, *RUNS]).pairs()
    for completion in ("step", "suffix"):
        whole = preference_rows(pairs, completion)
        blocks = list(stream_preference_rows(pairs, completion))
        assert len(blocks) == num_blocks
        assert sorted(map(str, whole)) == sorted(str(row) for block in blocks for row in block)
        for count in ("num_undecided", "num_alike", "num_without_action", "num_wordless"):
            assert sum(getattr(b, count) for b in blocks) == getattr(whole, count)


def test_every_preset_names_why_it_lacks_a_kind() -> None:
    for preset in PRESETS.values():
        assert {*preset.layouts, *preset.lacks} >= set(PRESETS["trl"].layouts)
