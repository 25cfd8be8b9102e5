"""Rows for TRL's own trainers: what they train on is what the rows are for, or is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")

from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer, trajectory
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from w2stree import (
    Merging,
    Message,
    Step,
    ToolCall,
    Trajectory,
    preference_dataset,
    sft_dataset,
)
from w2stree.errors import InvalidInput, RowWarning
from w2stree.forest.build import build_forest, build_forest_from_texts, open_forest
from w2stree.rows.tokenized import tokenize_sft
from w2stree.turns.chat import ChatFormat
from w2stree.turns.react import UNPARSED

pytestmark = pytest.mark.train

ANSWERS = pytest.mark.filterwarnings("ignore:stock .* environment said:w2stree.errors.RowWarning")
CPU: dict[str, Any] = {"use_cpu": True, "bf16": False, "report_to": [], "max_length": None}


# Preferences ----------------------------------------------------------------------------------


@ANSWERS
def test_step_and_suffix_rows_share_the_prompt_and_differ_after_it() -> None:
    pairs = build_forest([GOOD, BAD]).pairs()
    step = preference_dataset(pairs)[0]
    suffix = preference_dataset(pairs, "suffix")[0]
    assert step["prompt"] == suffix["prompt"]
    assert [m["role"] for m in step["prompt"]] == ["user", "assistant", "user"]
    assert step["prompt"][-1]["content"] == "You take the knife."
    assert [m["content"] for m in step["chosen"]] == [GOOD.steps[1].response]
    assert [m["content"] for m in step["rejected"]] == [BAD.steps[1].response]
    assert [m["role"] for m in suffix["chosen"]] == ["assistant", "user", "assistant"]
    assert suffix["chosen"][-1]["content"] == GOOD.steps[-1].response


@ANSWERS
@pytest.mark.parametrize("completion", ["step", "suffix"])
def test_rows_can_be_filtered_weighed_and_traced_to_their_divergence(completion: Any) -> None:
    forest = build_forest([GOOD, BAD, replace(BAD)])
    pairs = forest.pairs()
    row = preference_dataset(pairs, completion)[0]
    assert row["task_id"] == GOOD.task_id
    assert row["divergence"] == pairs.divergence[0]
    assert row["depth"] == forest.depth[row["divergence"]] == 1
    assert row["gap"] == GOOD.total_return - BAD.total_return
    assert (row["chosen_return"], row["num_chosen"]) == (1.0, 1)
    assert (row["rejected_return"], row["num_rejected"]) == (0.0, 2)


def test_a_suffix_says_what_share_stock_trl_scores_wrongly() -> None:
    pairs = build_forest([GOOD, BAD]).pairs()
    agent = sum(len(s.response) for t in (GOOD, BAD) for s in t.steps[1:])
    answers = sum(len(t.steps[1].observation) for t in (GOOD, BAD))
    share = f"{answers / (agent + answers):.0%}"
    with pytest.warns(RowWarning, match=rf"{share} of these .*Fitting\.dpo, which masks it"):
        preference_dataset(pairs, "suffix")


def test_stock_dpo_scores_the_turns_of_step_rows_alone(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    rows = preference_dataset(build_forest([GOOD, BAD]).pairs())
    trainer = DPOTrainer(
        model=tiny_model(tokenizer),
        args=DPOConfig(output_dir=str(tmp_path), precompute_ref_log_probs=True, **CPU),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    [row] = trainer.train_dataset
    assert tokenizer.decode(row["chosen_ids"]) == f"{GOOD.steps[1].response}<|end|>"
    assert tokenizer.decode(row["rejected_ids"]) == f"{BAD.steps[1].response}<|end|>"
    chat = ChatFormat(tokenizer)
    assert row["prompt_ids"] == chat.history_ids(GOOD.prompt, GOOD.steps[:1])


def test_rows_without_a_common_prompt_are_left_out_and_counted() -> None:
    rule = Merging(min_similarity=0.9, embed=lambda texts: np.ones((len(texts), 2)), guard=None)
    runs = [
        trajectory("t", [(first, answer), (action, "ok")], total_return)
        for first, answer, action, total_return in (
            ("look", "It is dark.", "wait", 0.25),
            ("look", "It is light.", "read", 1.0),
            ("sleep", "Zzz.", "wake", 0.0),
        )
    ]
    pairs = build_forest(runs, merging=rule).pairs()
    with pytest.warns(RowWarning, match=r"1 of 2 rows are left out: .*no common prompt"):
        rows = preference_dataset(pairs)
    assert rows["depth"] == [0]
    assert "1 with two histories" in rows.info.description
    with pytest.raises(InvalidInput, match=r"no preference rows .*1 with two histories"):
        preference_dataset(pairs.select(pairs.divergence > 0))


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_no_rows_are_an_error_that_says_why() -> None:
    with pytest.raises(InvalidInput, match=r"no preference rows \(step\); .*lower min_gap"):
        preference_dataset(build_forest([GOOD, GOOD]).pairs())
    bare = [replace(t, steps=_wordless(t)) for t in (GOOD, BAD)]
    with pytest.raises(InvalidInput, match=r"1 of actions without words; .*render_actions=True"):
        preference_dataset(build_forest(bare).pairs())
    rows = preference_dataset(build_forest(bare).pairs(), render_actions=True)
    assert rows[0]["chosen"][0]["content"] == f"Action: {GOOD.steps[1].action}"


def _wordless(run: Trajectory) -> tuple[Step, ...]:
    return tuple(replace(step, response="") for step in run.steps)


def test_forests_that_know_no_prompts_are_refused_and_completed(tmp_path: Path) -> None:
    runs = [GOOD, BAD]
    build_forest(runs).save(tmp_path / "f")
    columns = build_forest_from_texts(
        [t.task_id for t in runs],
        [[s.action for s in t.steps] for t in runs],
        [[s.observation for s in t.steps] for t in runs],
        [t.total_return for t in runs],
    )
    for bare in (columns, open_forest(tmp_path / "f")):
        with pytest.raises(InvalidInput, match=r"no prompt.*with_trajectories"):
            preference_dataset(bare.pairs())
        with pytest.raises(InvalidInput, match=r"no prompt.*with_trajectories"):
            sft_dataset(bare.search().best_trajectories())
        rows = preference_dataset(bare.with_trajectories(runs).pairs())
        assert rows[0] == preference_dataset(build_forest(runs).pairs())[0]


# Demonstrations -------------------------------------------------------------------------------


def test_a_dataset_says_how_many_failures_it_holds() -> None:
    tokenizer = tiny_tokenizer()
    paths = [GOOD, BAD, WORSE]
    with pytest.warns(RowWarning, match=r"2 of 3 trajectories are failures .*min_return=1 leaves"):
        rows = sft_dataset(paths, tokenizer=tokenizer)
    assert rows["total_return"] == [1.0, 0.0, 0.1]
    kept = sft_dataset(paths, tokenizer=tokenizer, min_return=0.1)
    assert kept["total_return"] == [1.0, 0.1]
    assert kept.info.description == "2 of 3 trajectories, 1 of them failures (return below 1)"
    assert len(sft_dataset(paths, tokenizer=tokenizer, min_return=0.0)) == 3
    assert len(sft_dataset(paths[::2], tokenizer=tokenizer, success_threshold=0.1)) == 2
    graded = [replace(t, total_return=100 * t.total_return) for t in paths]
    with pytest.raises(
        InvalidInput, match=r"total_return 100 is outside \[0, 1\]; state the range"
    ):
        sft_dataset(graded, tokenizer=tokenizer)
    with pytest.warns(RowWarning, match=r"2 of 3 .* \(return below 60\)"):
        sft_dataset(graded, tokenizer=tokenizer, success_threshold=0.6, return_range=(0, 100))
    with pytest.raises(InvalidInput, match=r"min_return=2\.0 leaves none of 3"):
        sft_dataset(paths, min_return=2.0)
    with pytest.raises(InvalidInput, match="no trajectories"):
        sft_dataset([])


def test_chat_rows_say_what_share_is_not_the_agent_s() -> None:
    agent = sum(len(step.response) for step in GOOD.steps)
    answers = sum(len(step.observation) for step in GOOD.steps[:-1])
    with pytest.warns(RowWarning, match=f"{answers / (agent + answers):.0%} of the text"):
        [row] = sft_dataset([GOOD])
    assert [m["role"] for m in row["messages"]] == ["user", *["assistant", "user"] * 2, "assistant"]
    assert row["messages"][-1]["content"] == GOOD.steps[-1].response


def test_stock_sft_trains_on_the_agent_s_turns_of_token_rows(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    rambling = replace(GOOD, steps=(Step("", UNPARSED, "Hm, let me see."), *GOOD.steps))
    rows = sft_dataset([rambling], tokenizer=tokenizer)
    trainer = SFTTrainer(
        model=tiny_model(tokenizer),
        args=SFTConfig(output_dir=str(tmp_path), **CPU),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    [batch] = trainer.get_train_dataloader()
    labels = batch["labels"][0]
    agent = "".join(f"{step.response}<|end|>" for step in GOOD.steps)
    assert tokenizer.decode(labels[labels != -100].tolist()) == agent
    chat = ChatFormat(tokenizer)
    assert batch["input_ids"][0].tolist() == (
        chat.prompt_ids(rambling.prompt) + chat.steps_ids(rambling.steps)[0]
    )
    taught = sft_dataset([rambling], tokenizer=tokenizer, teach_without_action=True)
    assert (
        taught[0]["labels"]
        == tokenize_sft([rambling], chat, max_length=512, teach_without_action=True).rows[0][
            "labels"
        ]
    )


@ANSWERS
@pytest.mark.parametrize("with_tokenizer", [False, True])
def test_runs_that_ended_in_an_error_are_not_imitated(with_tokenizer: bool) -> None:
    broken = replace(GOOD, status="error", total_return=50.0)
    options: Any = {"tokenizer": tiny_tokenizer()} if with_tokenizer else {}
    with pytest.warns(RowWarning, match=r"1 trajectories are left out: they ended in an error"):
        rows = sft_dataset([broken, GOOD], **options)
    assert len(rows) == 1
    with pytest.raises(InvalidInput, match=r"no trajectories.*1 .* ended in an error"):
        sft_dataset([broken], **options)


@ANSWERS
def test_chat_rows_cannot_leave_a_turn_out_and_say_so() -> None:
    rambling = replace(GOOD, steps=(Step("", UNPARSED, "Hm, let me see."), *GOOD.steps))
    with pytest.warns(RowWarning, match="1 turns without an action would be imitated"):
        sft_dataset([rambling])
    assert len(sft_dataset([rambling], teach_without_action=True)) == 1


@ANSWERS
@pytest.mark.parametrize("with_tokenizer", [False, True])
def test_turns_without_words_are_left_out_or_rendered_when_asked(with_tokenizer: bool) -> None:
    tokenizer = tiny_tokenizer() if with_tokenizer else None
    bare = replace(GOOD, steps=_wordless(GOOD), task_id="bare")
    with pytest.warns(RowWarning, match="1 trajectories are left out: their log kept actions"):
        rows = sft_dataset([bare, GOOD], tokenizer=tokenizer)
    assert rows["task_id"] == [GOOD.task_id]
    with pytest.raises(InvalidInput, match="no rows: 1 trajectories are left out"):
        sft_dataset([bare], tokenizer=tokenizer)
    assert len(sft_dataset([bare, GOOD], tokenizer=tokenizer, render_actions=True)) == 2


@ANSWERS
@pytest.mark.parametrize("with_tokenizer", [False, True])
def test_a_run_without_a_turn_teaches_nothing(with_tokenizer: bool) -> None:
    tokenizer = tiny_tokenizer() if with_tokenizer else None
    silent = replace(GOOD, steps=(), task_id="silent")
    with pytest.warns(RowWarning, match="1 trajectories are left out: none of their turns"):
        rows = sft_dataset([silent, GOOD], tokenizer=tokenizer)
    assert rows["task_id"] == [GOOD.task_id]
    with pytest.raises(InvalidInput, match="no rows: 1 trajectories are left out"):
        sft_dataset([silent], tokenizer=tokenizer)


@ANSWERS
def test_chat_rows_say_which_ends_nobody_said() -> None:
    cut = replace(GOOD, steps=(*GOOD.steps[:2], replace(GOOD.steps[2], is_cut=True)))
    with pytest.warns(RowWarning, match="1 turns were cut off"):
        sft_dataset([cut])
    with pytest.warns(RowWarning, match="1 turns were cut off"):
        preference_dataset(build_forest([cut, BAD]).pairs(), "suffix")
    assert len(preference_dataset(build_forest([cut, BAD]).pairs())) == 1, "not in what is compared"


@pytest.mark.filterwarnings("ignore::w2stree.errors.RowWarning")
def test_half_a_character_is_written_as_a_tokenizer_reads_it() -> None:
    """A game cut an emoji in two: a trajectory holds that, Arrow does not."""
    one, other = (
        Trajectory("t\ud83d", (Message("user", "go \ud83d"),), steps, total, "done")
        for steps, total in [
            ((Step("a", "\ude00", "say \ud83d"), Step("b", "o", "say b")), 1.0),
            ((Step("a", "\ude00", "say \ud83d"), Step("c", "o", "say c")), 0.0),
        ]
    )
    said = ["go \ufffd", "say \ufffd", "\ufffd", "say b"]
    row = sft_dataset([one])[0]
    assert [message["content"] for message in row["messages"]] == said
    assert row["task_id"] == "t\ufffd"
    forest = build_forest([one, other])
    pair = preference_dataset(forest.pairs(), completion="step")[0]
    assert [message["content"] for message in pair["prompt"] + pair["chosen"]] == said


def test_tool_calls_are_not_written_as_somebody_s_text() -> None:
    call = ToolCall("weather", '{"city": "Oslo"}')
    steps = (Step('weather {"city":"Oslo"}', "rain", tool_calls=(call,)),)
    with pytest.raises(InvalidInput, match="tool calls, which each chat template writes"):
        sft_dataset([replace(GOOD, steps=steps)])
