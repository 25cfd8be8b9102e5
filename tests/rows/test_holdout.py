"""Which tasks are held out: whole ones, by their prompts and the seed alone."""

from __future__ import annotations

import random

import pytest

from w2stree.errors import InvalidInput
from w2stree.rows.holdout import hold_out


def test_tasks_are_held_out_whole_whatever_their_order() -> None:
    tasks = [f"cook {i % 10}" for i in range(35)]
    kept = hold_out(tasks, 0.3, seed=1)
    held = {t for t, is_held in zip(tasks, kept.is_held_out, strict=True) if is_held}
    assert len(held) == kept.num_held_out_tasks == 3
    assert all((t in held) == h for t, h in zip(tasks, kept.is_held_out, strict=True))
    shuffled = random.Random(0).sample(tasks, len(tasks))
    again = hold_out(shuffled, 0.3, seed=1)
    assert {t for t, h in zip(shuffled, again.is_held_out, strict=True) if h} == held
    others = [hold_out(tasks, 0.3, seed=seed).is_held_out for seed in range(2, 6)]
    assert any(other != kept.is_held_out for other in others)


@pytest.mark.parametrize(
    ("num_tasks", "share", "words"),
    [
        (0, 0.5, "no task is held out: there is none"),
        (1, 0.5, "no task is held out: there is only one"),
        (7, 0.1, "0.1 of 7 tasks is less than one; holdout=0.15 holds out one"),
        (7, 0.0, "no task is held out"),
        (10, 0.1, "1 of 10 tasks (1 rows) are held out"),
    ],
)
def test_too_few_tasks_are_said(num_tasks: int, share: float, words: str) -> None:
    kept = hold_out(range(num_tasks), share, seed=0)
    assert words in kept.in_words()
    if "holdout=" in words:
        enough = float(words.partition("holdout=")[2].split()[0])
        assert hold_out(range(num_tasks), enough, seed=0).num_held_out_tasks == 1


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_no_share_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match="give a share of the tasks"):
        hold_out([1, 2], share, seed=0)
