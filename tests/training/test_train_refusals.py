"""What `train_dpo` and `train_sft` refuse, leave out and tell, with the cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from support.tiny_models import BAD, GOOD, TINY
from support.train_calls import dpo_args, model, pairs, runs, sft_args
from trl import SFTConfig

import w2stree as w2s
from w2stree.errors import InvalidInput, LikelihoodDisplaced, RowsTooLong, RowWarning
from w2stree.training.models import build_model, train_tokenizer

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced"),
]


@pytest.mark.parametrize("train", ["sft", "dpo"])
def test_unshared_training_refuses_several_processes(
    train: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would take its own tokens for the whole step's."""
    given: dict[str, Any] = {"output_dir": tmp_path / "out", "unshared": True}
    sft, dpo = sft_args(), dpo_args()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InvalidInput, match="started 2 processes"):
        if train == "sft":
            w2s.train_sft(runs(), model=model(), args=sft, **given)
        else:
            w2s.train_dpo(pairs(runs()), policy=model(), args=dpo, **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("train", ["sft", "dpo"])
@pytest.mark.parametrize("unshared", [False, True])
def test_another_precision_is_not_trained_in_because_a_launcher_says_so(
    train: str, unshared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """accelerate takes it from the environment where the arguments ask for none."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    given: dict[str, Any] = {"output_dir": tmp_path / "out", "unshared": unshared, "holdout": 0}
    with pytest.raises(InvalidInput, match="mixed_precision bf16, the training for no"):
        if train == "sft":
            w2s.train_sft(runs(), model=model(), args=sft_args(), **given)
        else:
            w2s.train_dpo(pairs(runs()), policy=model(), args=dpo_args(), **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({"attention_mask": [0, 1, 1]}, r"rows\[0\]: attention_mask hides tokens"),
        ({"position_ids": [0, 1, 0]}, r"rows\[0\] packs several sequences"),
        ({"seq_lengths": [2, 1]}, r"rows\[0\] packs several sequences"),
        ({"attention_mask": [1, 1, 1], "position_ids": [0, 1, 2], "seq_lengths": [3]}, ""),
    ],
)
def test_token_rows_of_other_sequences_are_refused(
    beside: dict[str, list[int]], message: str, tmp_path: Path
) -> None:
    def train() -> None:
        row = {"input_ids": [7, 8, 9], "labels": [-100, 8, 9], **beside}
        w2s.train_sft([row], model=model(), output_dir=tmp_path / "out", args=sft_args(), holdout=0)

    if not message:
        train()
        return
    with pytest.raises(InvalidInput, match=message):
        train()


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (pairs([GOOD, BAD], min_gap=1.0001), {}, "the forest has 1 pairs at min_gap=0"),
        (pairs([GOOD, replace(BAD, total_return=1.0)]), {}, "in no task do two runs part"),
        ([], {}, "none are given"),
        ([GOOD], {}, "pairs holds Trajectory"),
        (pairs([GOOD, BAD]), {"max_length": 9}, r"1 exceed max_length \(9 tokens; the longest"),
        (pairs([GOOD, BAD]), {"max_length": 4096}, "but the model has 512 positions; give 512"),
        (pairs([GOOD, BAD]), {"args": SFTConfig(use_cpu=True)}, "args is SFTConfig; give trl.DPO"),
        (pairs([GOOD, BAD]), {"policy": "nowhere"}, "nowhere: no config.json"),
        (pairs([GOOD, BAD]), {"policy": 7}, "policy is int; give a model's directory"),
        (pairs([GOOD, BAD]), {"holdout": 1.0}, "holdout is 1.0; give a share"),
        (
            [{"prompt": "Cook.", "chosen": "a", "rejected": "b"}],
            {},
            r"rows\[0\]: chosen is 'a'; give a list of chat messages",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_cause(
    given: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    settings = {"policy": model(), "args": dpo_args(), **options}
    with pytest.raises(InvalidInput, match=message):
        w2s.train_dpo(given, output_dir=tmp_path / "out", **settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_rows_without_words_are_refused_with_the_remedy(tmp_path: Path) -> None:
    wordless = [
        replace(t, steps=tuple(replace(s, response="") for s in t.steps)) for t in (GOOD, BAD)
    ]
    with pytest.raises(InvalidInput, match=r"1 for actions without words.*render_actions=True"):
        w2s.train_dpo(pairs(wordless), policy=model(), output_dir=tmp_path / "out")
    trained = w2s.train_dpo(
        pairs(wordless),
        policy=model(),
        output_dir=tmp_path / "out",
        render_actions=True,
        args=dpo_args(),
        holdout=0,
    )
    assert trained.metrics["num_trained_rows"] == 1


def test_what_is_too_long_is_counted(tmp_path: Path) -> None:
    long = replace(GOOD, steps=GOOD.steps * 3, total_return=0.7)
    with pytest.warns(RowsTooLong, match=r"1 of 3 rows exceed max_length \(100 tokens\)"):
        trained = w2s.train_sft(
            [GOOD, BAD, long],
            model=model(),
            output_dir=tmp_path / "out",
            max_length=100,
            args=sft_args(),
            holdout=0,
        )
    assert trained.metrics["num_trained_rows"] == 2
    assert "| left out: longer than max length | 1 |" in (tmp_path / "out/README.md").read_text()


def test_what_no_setting_makes_fit_is_told_so(tmp_path: Path) -> None:
    """The limit may be the model's, or the reference's, which reads other tokens."""
    endless = [replace(GOOD, steps=GOOD.steps * 30, task_id="long"), *runs(2)]
    with pytest.warns(RowsTooLong, match=r"\(512 tokens\).* the model has no more positions"):
        w2s.train_sft(
            endless, model=model(), output_dir=tmp_path / "sft", args=sft_args(), holdout=0
        )
    tokenizer = train_tokenizer(["Cook."], vocab_size=270, phrase_min_count=9)
    short = build_model(replace(TINY, max_length=110), tokenizer, seed=1)
    with pytest.raises(
        InvalidInput,
        match=r"12 exceed what the reference reads of them \(110 of its tokens; the longest has "
        r"\d+\): the model has no more positions",
    ):
        w2s.train_dpo(
            pairs(runs()),
            policy=model(),
            reference=(short, tokenizer),
            output_dir=tmp_path / "dpo",
            args=dpo_args(),
        )


def test_too_few_tasks_to_hold_one_out_are_told(tmp_path: Path) -> None:
    with pytest.warns(RowWarning, match=r"no task is held out: 0.1 of 4 tasks is less than one"):
        trained = w2s.train_sft(runs(), model=model(), output_dir=tmp_path / "out", args=sft_args())
    assert trained.metrics["num_held_out_rows"] == 0


def test_a_chosen_side_that_loses_is_told(tmp_path: Path) -> None:
    """The policy knows the chosen turns by heart, and a rate far too high spoils it."""
    start = model()
    best = runs(kinds=[GOOD])
    known = sft_args(max_steps=60, learning_rate=5e-3)
    w2s.train_sft(best, model=start, output_dir=tmp_path / "start", args=known, holdout=0)
    with pytest.warns(LikelihoodDisplaced, match="chosen sides of trained rows became less likely"):
        w2s.train_dpo(
            pairs(runs(kinds=[GOOD, BAD])),
            policy=tmp_path / "start",
            output_dir=tmp_path / "out",
            args=dpo_args(max_steps=10, learning_rate=0.1, max_grad_norm=100.0),
            holdout=0,
        )
