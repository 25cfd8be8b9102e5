"""Rows that are not wholly sure, count more or less, or compare runs of two tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")

from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree import InvalidInput, Message, build_forest, train_dpo
from w2stree.rows.rows import NO_NODE, PreferenceRow, preference_rows
from w2stree.rows.tokenized import tokenize_preferences
from w2stree.training.fitting import Fitting, Trained
from w2stree.training.optimisation import Optimisation
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train

OTHER = replace(BAD, task_id="task-2", prompt=(Message("user", "Cook it in the shed."),))
BETA = 0.7


def rows() -> list[PreferenceRow]:
    """The better run against each of the others, and against one of another task."""
    found = list(preference_rows(build_forest([GOOD, BAD, WORSE]).pairs(), "suffix"))[:2]
    across = PreferenceRow(GOOD, OTHER, 0, None, NO_NODE, 1.0, 1.0, 0.0, 1, 1)
    said = [(0.8, 1.0), (1.0, 0.5), (0.6, 2.0)]
    pairs = zip([*found, across], said, strict=True)
    return [replace(row, confidence=sure, weight=weight) for row, (sure, weight) in pairs]


def fit(folder: Path, rows: list[PreferenceRow], **options: Any) -> Trained:
    tokenizer = tiny_tokenizer()
    how = Optimisation(num_epochs=1, learning_rate=1e-9, batch_size=3, **options)
    return Fitting(max_length=512, seed=5, output_dir=folder).dpo(
        (tiny_model(tokenizer), tokenizer),
        rows,
        how,
        reference=lambda: (tiny_model(tokenizer, seed=1), tokenizer),
        reference_is_start=False,
        beta=BETA,
        sft_weight=0.0,
    )


def margins(rows: list[PreferenceRow]) -> np.ndarray[Any, Any]:
    """beta times the difference of log-ratios, each sequence scored by itself."""
    tokenizer = tiny_tokenizer()
    tokens = [t for t in tokenize_preferences(rows, ChatFormat(tokenizer), max_length=None) if t]
    now, before = (
        np.array(sequence_logprobs(tiny_model(tokenizer, seed=seed), tokens, batch_size=3))
        for seed in (0, 1)
    )
    return BETA * (now - before) @ np.array([1.0, -1.0])


def test_both_labels_are_learned_in_their_shares_and_weights_count(tmp_path: Path) -> None:
    given = rows()
    sure, weight = (np.array([getattr(r, n) for r in given]) for n in ("confidence", "weight"))
    margin = margins(given)
    loss = sure * np.logaddexp(0, -margin) + (1 - sure) * np.logaddexp(0, margin)
    expected = (weight * loss).sum() / weight.sum()
    assert abs(expected - np.logaddexp(0, -margin).mean()) > 1e-3  # plain DPO's is another
    assert fit(tmp_path, given).metrics["loss_before"] == pytest.approx(expected, rel=1e-4)


def test_plain_rows_say_nothing_of_it(tmp_path: Path) -> None:
    plain = [replace(row, confidence=1.0, weight=1.0) for row in rows()]
    tokens = tokenize_preferences(plain, ChatFormat(tiny_tokenizer()), max_length=None)
    assert all(row is not None and "confidence" not in row for row in tokens)
    on_trees, unshared = (fit(tmp_path, plain, unshared=u) for u in (False, True))
    expected = np.logaddexp(0, -margins(plain)).mean()
    for trained in (on_trees, unshared):
        assert trained.metrics["loss_before"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["confidence", "weight"])
def test_unshared_they_are_refused_by_name(tmp_path: Path, name: str) -> None:
    given = [replace(row, confidence=1.0, weight=1.0) for row in rows()]
    given[1] = replace(given[1], **{name: 0.75})
    with pytest.raises(InvalidInput, match=rf"rows\[1\] has the {name} 0.75, .*train on trees"):
        fit(tmp_path, given, unshared=True)
    model = (tiny_model(tiny_tokenizer()), tiny_tokenizer())
    with pytest.raises(InvalidInput, match=rf"the {name} 0.75, which TRL's DPO"):
        train_dpo(given[:2], policy=model, output_dir=tmp_path / "out", unshared=True, holdout=0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"confidence": 1.5}, r"rows\[1\]: confidence is 1\.5; give a number from 0 to 1"),
        ({"confidence": float("nan")}, r"rows\[1\]: confidence is nan; give a number from 0 to 1"),
        ({"confidence": None}, r"rows\[1\]: confidence is None; give a number from 0 to 1"),
        ({"weight": -1.0}, r"rows\[1\]: weight is -1\.0; give a finite number, 0 at least"),
        ({"weight": float("inf")}, r"rows\[1\]: weight is inf; give a finite number, 0 at least"),
        ({"weight": "2"}, r"rows\[1\]: weight is '2'; give a finite number, 0 at least"),
    ],
)
def test_what_is_no_confidence_or_weight_is_refused_with_its_row(
    given: dict[str, Any], reason: str
) -> None:
    first, second, third = rows()
    wrong = [first, replace(second, **given), third]
    with pytest.raises(InvalidInput, match=reason):
        tokenize_preferences(wrong, ChatFormat(tiny_tokenizer()), max_length=None)


def test_each_side_is_scored_under_what_it_was_asked(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    chat = ChatFormat(tokenizer)
    (tokens,) = tokenize_preferences(rows()[2:], chat, max_length=None)
    assert tokens is not None
    for side, run in (("chosen", GOOD), ("rejected", OTHER)):
        ids, mask = chat.steps_ids(run.steps)
        prompt = chat.prompt_ids(run.prompt)
        assert tokens["prompt_ids"] + tokens[f"{side}_ids"] == prompt + ids
        shared = len(tokens["prompt_ids"])
        assert [0] * shared + tokens[f"{side}_mask"] == [0] * len(prompt) + mask
    with pytest.raises(InvalidInput, match=r"rows\[2\] compares runs of two tasks, 'task-1' and"):
        train_dpo(rows(), policy=(tiny_model(tokenizer), tokenizer), output_dir=tmp_path / "out")
