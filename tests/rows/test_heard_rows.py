"""Rows say what was said between two turns, by whom, message by message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.heard_logs import ASKED, LOGS, PARALLEL, TWO_OF_THE_USER, read, said, told

from w2stree import build_forest
from w2stree.rows.chat import chat_of
from w2stree.rows.rows import preference_rows
from w2stree.rows.writing import write_rows

each_log = pytest.mark.parametrize("name", LOGS)


def written(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    pq = pytest.importorskip("pyarrow.parquet")
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def without_nulls(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in message.items() if v is not None} for message in given]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@each_log
def test_a_path_is_the_conversation(name: str, suffix: str, tmp_path: Path) -> None:
    run = read([*LOGS[name], said("done")])
    write_rows(tmp_path / f"sft.{suffix}", [run])
    (row,) = written(tmp_path / f"sft.{suffix}")
    assert without_nulls(row["messages"]) == [*LOGS[name], said("done")]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("completion", ["step", "suffix"])
@each_log
def test_a_pair_shares_the_conversation(
    name: str, completion: Any, suffix: str, tmp_path: Path
) -> None:
    ends = [said("first"), *LOGS[name][1:], said("last")], [said("wait")]
    runs = [read([*LOGS[name], *end], reward) for end, reward in zip(ends, (1.0, 0.0), strict=True)]
    rows = preference_rows(build_forest(runs).pairs(), completion)
    write_rows(tmp_path / f"dpo.{suffix}", rows)
    (row,) = written(tmp_path / f"dpo.{suffix}")
    kept = ends[0] if completion == "suffix" else ends[0][:1]
    assert without_nulls(row["prompt"]) == LOGS[name]
    assert without_nulls(row["chosen"]) == kept
    assert without_nulls(row["rejected"]) == ends[1]
    assert row["chosen_mask"] == [int(m["role"] == "assistant") for m in kept]


def test_answers_are_in_the_order_of_the_calls() -> None:
    turned = [*PARALLEL[:2], PARALLEL[3], PARALLEL[2], said("done")]
    assert chat_of(read(turned))[:-1] == [*PARALLEL, said("done")]


def test_two_splits_of_one_text_are_two_histories() -> None:
    joined = [ASKED, said("x"), told("a.py\n(2 turns left)")]
    runs = [read([*TWO_OF_THE_USER, said("yes")]), read([*joined, said("no")], 0.0)]
    forest = build_forest(runs)
    assert len(forest.pairs()) == 1, "merged all the same: by the text"
    (row,) = preference_rows(forest.pairs(), "step")
    assert not row.is_one_history


def test_llama_factory_is_given_what_it_reads(tmp_path: Path) -> None:
    runs = [read([*LOGS[name], said("done")]) for name in ("WORDS_ALONE", "TWO_OF_THE_USER")]
    runs.append(read([ASKED, said("x"), told("go"), said("done")]))
    found = write_rows(tmp_path / "sft.jsonl", runs, preset="llama-factory")
    assert found.num_rows == 1
    assert found.skipped == {"whose messages are not of user and assistant in turn": 2}


def test_several_calls_without_ids_are_told_apart() -> None:
    def without_ids(message: dict[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in message.items() if k != "tool_call_id"}
        calls = [{k: v for k, v in c.items() if k != "id"} for c in message.get("tool_calls", ())]
        return kept | ({"tool_calls": calls} if calls else {})

    _, turn, *answers = chat_of(read([without_ids(message) for message in PARALLEL]))
    assert [call["id"] for call in turn["tool_calls"]] == ["call_0", "call_1"]
    assert [(m["tool_call_id"], m["name"]) for m in answers] == [
        ("call_0", "search"),
        ("call_1", "weather"),
    ]
