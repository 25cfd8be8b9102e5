"""Turns that are context and not learned: in rows, on trees, unshared, and in the public calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

import w2stree as w2s
from w2stree.errors import InvalidInput, RowWarning
from w2stree.rows.tokenized import IGNORED, tokenize_sft
from w2stree.training.fitting import Fitting
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Step
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train
RUNS = [GOOD, BAD, WORSE]
LEARNED = [[True, False, True], [False, True, False], [True, True]]
ONCE = Optimisation(num_steps=2, learning_rate=1e-3, batch_size=3)


def _said(tokenizer: Any, row: dict[str, list[int]]) -> str:
    text: str = tokenizer.decode([label for label in row["labels"] if label != IGNORED])
    return text


def test_labels_are_those_of_the_turns_that_are_learned() -> None:
    tokenizer = tiny_tokenizer()
    chat = ChatFormat(tokenizer)
    found = tokenize_sft(RUNS, chat, max_length=512, learned=LEARNED)
    whole = tokenize_sft(RUNS, chat, max_length=512)
    assert [r["input_ids"] for r in found.rows] == [r["input_ids"] for r in whole.rows]
    for row, run, learned in zip(found.rows, RUNS, LEARNED, strict=True):
        turns = [s.response for s, keep in zip(run.steps, learned, strict=True) if keep]
        assert _said(tokenizer, row) == "".join(f"{turn}<|end|>" for turn in turns)
    assert (found.num_unlearned_turns, found.num_unlearned) == (3, 0)
    everything = [[True] * len(run.steps) for run in RUNS]
    assert tokenize_sft(RUNS, chat, max_length=512, learned=everything).rows == whole.rows


def test_a_turn_without_an_action_stays_unlearned_and_none_left_is_no_row() -> None:
    chat = ChatFormat(tiny_tokenizer())
    rambling = replace(GOOD, steps=(Step("", "Say an action.", "Hm."), *GOOD.steps[:1]))
    given = [rambling, rambling, GOOD]
    learned = [[True, True], [True, False], [False, False, False]]
    found = tokenize_sft(given, chat, max_length=512, learned=learned)
    assert found.kept == [rambling]
    assert (found.num_untaught_turns, found.num_unlearned, found.num_untaught) == (1, 2, 0)
    assert found.notes() == [
        "2 trajectories are left out: none of their turns with an action is to be learned"
    ]


@pytest.mark.parametrize(
    ("learned", "why"),
    [
        ([[True] * 3], "learned has 1 entries for 3 trajectories; give one for each"),
        ([[True] * 3, [True], [True] * 2], r"learned\[1\] has 1 entries for 3 steps; give one for"),
        ([[True] * 3, [True, 0.5, True], [True] * 2], r"learned\[1\]\[1\] is 0\.5; give True or F"),
    ],
)
def test_what_does_not_fit_is_refused(learned: Any, why: str, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    with pytest.raises(InvalidInput, match=why):
        tokenize_sft(RUNS, ChatFormat(tokenizer), max_length=512, learned=learned)
    with pytest.raises(InvalidInput, match=why):
        w2s.sft_dataset(RUNS, tokenizer=tokenizer, learned=learned)


def test_all_tokens_and_some_turns_are_not_asked_for_together() -> None:
    chat = ChatFormat(tiny_tokenizer())
    with pytest.raises(InvalidInput, match="all_tokens learns every token"):
        tokenize_sft(RUNS, chat, max_length=512, all_tokens=True, learned=LEARNED)


def test_trees_and_unshared_training_learn_the_same(tmp_path: Path) -> None:
    """The mean over the tokens of the learned turns, by hand; and the same weights in the end."""
    tokenizer = tiny_tokenizer()
    trained = [
        Fitting(max_length=512, seed=5, output_dir=tmp_path).sft(
            (tiny_model(tokenizer), tokenizer),
            RUNS,
            replace(ONCE, unshared=unshared),
            learned=LEARNED,
        )
        for unshared in (False, True)
    ]
    expected = _mean_loss(tokenizer)
    for found in trained:
        assert found.metrics["loss_before"] == pytest.approx(expected, rel=1e-5)
        assert found.steps[0]["loss"] == pytest.approx(expected, rel=1e-5)
        assert found.metrics["num_unlearned_turns"] == 3
    for a, b in zip(trained[0].model.parameters(), trained[1].model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def _mean_loss(tokenizer: Any) -> float:
    model, chat = tiny_model(tokenizer).eval(), ChatFormat(tokenizer)
    total, count = 0.0, 0
    for run, learned in zip(RUNS, LEARNED, strict=True):
        for turn, step in enumerate(run.steps):
            if learned[turn]:
                history = chat.history_ids(run.prompt, run.steps[:turn])
                said = chat.response_ids(step)
                with torch.no_grad():
                    logits = model(torch.tensor([history + said])).logits[0]
                logprobs = logits.log_softmax(-1)[len(history) - 1 : -1]
                total -= float(logprobs[range(len(said)), said].sum())
                count += len(said)
    return total / count


def test_the_public_rows_have_these_labels() -> None:
    tokenizer = tiny_tokenizer()
    broken = replace(GOOD, status="error")
    given, learned = [broken, BAD, GOOD], [[False] * 3, [True] * 3, LEARNED[0]]
    with pytest.warns(RowWarning, match="1 trajectories are left out: they ended in an error"):
        dataset = w2s.sft_dataset(given, min_return=0.5, tokenizer=tokenizer, learned=learned)
    row = tokenize_sft([GOOD], ChatFormat(tokenizer), max_length=None, learned=[LEARNED[0]]).rows[0]
    assert dataset["labels"] == [row["labels"]]
    with pytest.raises(InvalidInput, match="chat messages have none; give tokenizer="):
        w2s.sft_dataset(given, learned=learned)


def test_the_public_call_learns_these_turns(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    how = {"max_steps": 1, "learning_rate": 1e-3}
    trained = w2s.train_sft(
        RUNS,
        model=(tiny_model(tokenizer), tokenizer),
        output_dir=tmp_path / "model",
        learned=LEARNED,
        args=how,
        holdout=0.0,
    )
    assert trained.losses[0]["loss"] == pytest.approx(_mean_loss(tokenizer), rel=1e-5)
    assert "turns not learned" in (tmp_path / "model" / "README.md").read_text()
    with pytest.raises(InvalidInput, match="learned is of trajectories; rows say it by"):
        w2s.train_sft(
            [{"input_ids": [5, 6], "labels": [5, 6]}],
            model=(tiny_model(tokenizer), tokenizer),
            output_dir=tmp_path / "other",
            learned=[[True]],
            args=how,
        )
