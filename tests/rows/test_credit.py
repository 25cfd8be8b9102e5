"""Advantages as rows: what a trainer reads is what the forest says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from support.quiet import QUIET
from support.strategies import trajectory_lists
from support.tiny_models import BAD, GOOD, WORSE

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.forest.advantages import Baseline, advantages
from w2stree.formats.agenttraj import LEARNED
from w2stree.rows.credit import run_credits, turn_credits
from w2stree.trajectories.trajectory import Message, Step, Trajectory

pytestmark = QUIET

RUNS = [
    replace(t, task_id=f"task-{i}", prompt=(Message("user", f"Cook meal {i}."),))
    for i in range(3)
    for t in (GOOD, BAD, WORSE)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    w2s.write_trajectories("runs.jsonl", RUNS)
    return tmp_path


def rows_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


@given(runs=trajectory_lists())
def test_every_step_has_the_advantages_of_the_forest(runs: list[Trajectory]) -> None:
    forest = w2s.build_forest(runs)
    rows = list(turn_credits(forest))
    for baseline in get_args(Baseline):
        found = advantages(forest, baseline=baseline)
        assert [getattr(row, baseline) for row in rows] == found.value.tolist()
        assert [c.values for c in run_credits(forest, baseline=baseline)] == [
            tuple(found.of(i).tolist()) for i in range(len(forest.trajectories))
        ]
    assert [(r.number, r.step) for r in rows] == [
        (i, t) for i, run in enumerate(forest.trajectories) for t in range(len(run.steps))
    ]
    paths = [forest.path_to(int(node)) for node in forest.end_node]
    for row in rows:
        assert paths[row.number][row.step + 1] == row.node
        here = paths[row.number][row.step]
        assert row.num_runs == sum(here in path[:-1] for path in paths)
        assert row.num_alike == sum(row.node in path for path in paths)
    for credit in run_credits(forest):
        assert credit.num_runs == sum(path[0] == paths[credit.number][0] for path in paths)


def test_a_row_is_a_turn_with_what_it_is_credited_by(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advantages", "runs.jsonl", "-o", "turns.jsonl", "--holdout", "0.34"]) == 0
    told = capsys.readouterr().out
    assert "24 turns = 24 rows + 0 skipped" in told and "9 runs read = 9 used" in told
    assert "GRPOTrainer plays anew" in told
    rows = rows_of("turns.jsonl")
    assert len(rows) == 16 and len(rows_of("turns.test.jsonl")) == 8
    of_bad = [row for row in rows if row["run"] % 3 == 1][:3]
    assert [m["content"] for m in of_bad[1]["completion"]] == [BAD.steps[1].response]
    assert len(of_bad[1]["prompt"]) == 3 and of_bad[1]["step"] == 1
    mean = (1.0 + 0.0 + 0.1) / 3
    for name, expected in (
        ("parent_advantage", [0.0, -mean, 0.0]),
        ("group_advantage", [-mean, -mean, 0.0]),
        ("leave_one_out_advantage", [-0.55, -0.55, 0.0]),
    ):
        assert [row[name] for row in of_bad] == pytest.approx(expected)
    assert [(row["num_runs"], row["num_alike"]) for row in of_bad] == [(3, 3), (3, 1), (1, 1)]
    number = of_bad[0]["run"]
    assert of_bad[0]["source"] == [f"runs.jsonl:{number + 1}"]
    assert of_bad[0]["task_id"] == RUNS[number].task_id and of_bad[0]["total_return"] == 0.0


def test_parquet_and_lines_hold_the_same(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("turns.jsonl", "turns.parquet"):
        assert main(["advantages", "runs.jsonl", "-o", name, "--scale"]) == 0
    assert parquet.read_table("turns.parquet").to_pylist() == rows_of("turns.jsonl")


def test_turns_without_words_are_left_out_and_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = Trajectory("t", GOOD.prompt, (Step("a", "A"), Step("b", "B")), 1.0, "done")
    w2s.write_trajectories("silent.jsonl", [silent, replace(GOOD, task_id="t")])
    assert main(["advantages", "silent.jsonl", "-o", "turns.jsonl"]) == 0
    told = capsys.readouterr().out
    assert "5 turns = 3 rows + 2 skipped (2 without words" in told and "--render-actions" in told
    assert main(["advantages", "silent.jsonl", "-o", "all.jsonl", "--render-actions"]) == 0
    assert len(rows_of("all.jsonl")) == 5


def test_turns_that_are_only_to_be_read_are_left_out_and_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w2s.write_trajectories("read.jsonl", [RUNS[0], only_read(RUNS[1])])
    assert main(["advantages", "read.jsonl", "-o", "turns.jsonl"]) == 0
    told = capsys.readouterr().out
    assert "6 turns = 5 rows + 1 skipped (1 not to be learned (loss: false))" in told
    steps = [row["step"] for row in rows_of("turns.jsonl") if row["run"] == 1]
    assert steps == [i for i in range(len(RUNS[1].steps)) if i != 1]


def only_read(run: Trajectory) -> Trajectory:
    """With a second turn that is not to be learned."""
    flags = [i != 1 for i in range(len(run.steps))]
    return replace(run, info={**run.info, LEARNED: flags})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--for verl", "verl's batches are of token ids: give --tokenizer"),
        ("--for axolotl", "axolotl: no turns with their advantages: its data readers have no such"),
        ("--baseline group", "--baseline weighs tokens; give --tokenizer too"),
        ("--max-length 9", "--max-length counts token ids; give --tokenizer too"),
    ],
)
def test_what_cannot_be_is_refused(
    words: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advantages", "runs.jsonl", "-o", "turns.jsonl", *words.split()]) == 2
    assert message in capsys.readouterr().err and not Path("turns.jsonl").exists()


@pytest.mark.train
class TestTokens:
    """Rows of ids."""

    @pytest.fixture
    def model(self, folder: Path) -> Any:
        pytest.importorskip("transformers")
        from support.tiny_models import tiny_tokenizer

        tokenizer = tiny_tokenizer()
        tokenizer.save_pretrained("model")
        return tokenizer

    def test_each_token_of_a_turn_has_the_turns_advantage(self, model: Any) -> None:
        words = ["advantages", "runs.jsonl", "--tokenizer", "model", "--baseline", "group"]
        assert main([*words, "-o", "batch.jsonl"]) == 0
        found = advantages(w2s.build_forest(RUNS), baseline="group")
        for i, row in enumerate(rows_of("batch.jsonl")):
            ids, mask, weights = row["completion_ids"], row["env_mask"], row["advantages"]
            assert len(ids) == len(mask) == len(weights) and row["run"] == i
            assert row["step_advantages"] == found.of(i).tolist()
            begin, spoken = 0, []
            for end in range(1, len(ids) + 1):
                if end == len(ids) or mask[end] != mask[begin]:
                    if mask[begin]:
                        spoken.append((model.decode(ids[begin:end]), set(weights[begin:end])))
                    else:
                        assert set(weights[begin:end]) == {0.0}
                    begin = end
            for (text, values), step, value in zip(
                spoken, RUNS[i].steps, found.of(i).tolist(), strict=True
            ):
                assert step.response in text and values == {value}
            assert RUNS[i].prompt[0].content in model.decode(row["prompt_ids"])

    def test_a_turn_without_an_action_is_not_taught(self, model: Any) -> None:
        idle = replace(GOOD, steps=(replace(GOOD.steps[0], action=""), *GOOD.steps[1:]))
        blamed = replace(BAD, steps=(replace(BAD.steps[0], action=""), *BAD.steps[1:]))
        w2s.write_trajectories("idle.jsonl", [idle, WORSE])
        w2s.write_trajectories("blamed.jsonl", [blamed, WORSE])
        for name, least in (("idle", 0.0), ("blamed", -1.0)):
            words = ["advantages", f"{name}.jsonl", "-o", f"{name}.out.jsonl"]
            assert main([*words, "--tokenizer", "model"]) == 0
            row = rows_of(f"{name}.out.jsonl")[0]
            assert row["env_mask"][0] == 1
            if name == "idle":
                assert row["step_advantages"][0] > 0 and row["advantages"][0] == 0.0
            else:
                assert least < row["advantages"][0] == row["step_advantages"][0] < 0

    def test_a_turn_that_is_only_to_be_read_weighs_nothing(self, model: Any) -> None:
        w2s.write_trajectories("read.jsonl", [GOOD, only_read(BAD)])
        words = ["advantages", "read.jsonl", "-o", "batch.jsonl", "--tokenizer", "model"]
        assert main(words) == 0
        taught, read = rows_of("batch.jsonl")
        assert any(taught["advantages"]) and read["step_advantages"][1] < 0.0
        assert not any(read["advantages"]) and any(read["env_mask"])

    def test_the_mark_that_ends_a_turn_which_was_cut_off_is_not_weighed(self, model: Any) -> None:
        rows = []
        for name, is_cut in (("whole", False), ("cut", True)):
            run = replace(BAD, steps=(*BAD.steps[:1], replace(BAD.steps[1], is_cut=is_cut)))
            w2s.write_trajectories(f"{name}.jsonl", [run, GOOD])
            words = ["advantages", f"{name}.jsonl", "-o", f"{name}.out.jsonl"]
            assert main([*words, "--tokenizer", "model"]) == 0
            rows.append(rows_of(f"{name}.out.jsonl")[0])
        whole, cut = rows
        assert whole["completion_ids"] == cut["completion_ids"]
        assert (whole["env_mask"][-1], cut["env_mask"][-1]) == (1, 0)
        assert whole["advantages"][-1] < 0.0 == cut["advantages"][-1]
        assert whole["advantages"][-2] == cut["advantages"][-2] < 0.0

    def test_in_the_names_of_verls_batches(
        self, model: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        words = ["advantages", "runs.jsonl", "--tokenizer", "model"]
        assert main([*words, "-o", "batch.parquet", "--for", "verl"]) == 0
        assert "read no advantages of a file" in capsys.readouterr().out
        assert main([*words, "-o", "batch.jsonl"]) == 0
        names = {
            "prompts": "prompt_ids", "responses": "completion_ids", "response_mask": "env_mask",
            "advantages": "advantages", "uid": "task_id",
        }  # fmt: skip
        rows = parquet.read_table("batch.parquet").to_pylist()
        for theirs, ours in zip(rows, rows_of("batch.jsonl"), strict=True):
            assert {names[name]: theirs[name] for name in names} == {
                name: ours[name] for name in names.values()
            }

    def test_what_is_too_long_is_counted(
        self, model: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["advantages", "runs.jsonl", "--tokenizer", "model", "-o", "batch.jsonl"]
        assert main([*words, "--max-length", "1"]) == 2
        assert "9 too long" in capsys.readouterr().err
        assert main([*words, "--baseline", "none"]) == 2
        assert "baseline is 'none'; use one of parent, group" in capsys.readouterr().err
