"""`train_dpo` and `train_sft`: from pairs and paths to a folder with a trained model."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, TINY, WORSE, tiny_model, tiny_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig, MambaForCausalLM
from trl import DPOConfig, SFTConfig

import w2stree as w2s
from w2stree.errors import InvalidInput, LikelihoodDisplaced, RowsTooLong, RowWarning
from w2stree.training.models import build_model, load_model, save_model, train_tokenizer
from w2stree.training.optimisation import Lora
from w2stree.training.trees.reference import plain
from w2stree.trajectories.trajectory import Message, Trajectory

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced"),
]


def runs(num_tasks: int = 4, kinds: Sequence[Trajectory] = (GOOD, BAD, WORSE)) -> list[Trajectory]:
    """Tasks that are told apart by their prompts."""
    return [
        replace(t, task_id=f"task-{i}", prompt=(Message("user", f"Cook meal {i}."),))
        for i in range(num_tasks)
        for t in kinds
    ]


def dpo_args(**settings: Any) -> DPOConfig:
    given = {"learning_rate": 1e-3, "max_steps": 2, "report_to": [], "use_cpu": True, "bf16": False}
    return DPOConfig(output_dir="elsewhere", **{**given, **settings})


def sft_args(**settings: Any) -> SFTConfig:
    given = {"learning_rate": 1e-3, "max_steps": 2, "report_to": [], "use_cpu": True, "bf16": False}
    return SFTConfig(output_dir="elsewhere", **{**given, **settings})


def model(seed: int = 0) -> tuple[Any, Any]:
    tokenizer = tiny_tokenizer()
    return tiny_model(tokenizer, seed=seed), tokenizer


def pairs(trajectories: Sequence[Trajectory], **options: Any) -> Any:
    return w2s.build_forest(trajectories).pairs(**options)


def test_dpo_leaves_a_folder_that_transformers_opens(tmp_path: Path) -> None:
    policy, tokenizer = model()
    for name, seed in (("weak", 1), ("strong", 0)):
        save_model(tmp_path / name, tiny_model(tokenizer, seed=seed), tokenizer)
    told: list[tuple[int, int]] = []
    out = tmp_path / "out"
    trained = w2s.train_dpo(
        pairs(runs(), min_gap=0.1),
        policy=tmp_path / "strong",
        reference=tmp_path / "weak",
        output_dir=out,
        holdout=0.25,
        args=dpo_args(logging_steps=1, beta=0.3),
        progress=lambda step, total, _: told.append((step, total)),
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "strong", "weak"]
    opened = AutoModelForCausalLM.from_pretrained(out)
    AutoTokenizer.from_pretrained(out)
    key = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(opened.state_dict()[key], policy.state_dict()[key])
    assert told == [(1, 2), (2, 2)]
    losses = [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in losses] == [1, 2] and trained.losses == losses
    assert json.loads((out / "metrics.json").read_text()) == trained.metrics
    assert trained.metrics["num_held_out_rows"] == 3  # one task of four
    assert {"held_out_pair_accuracy_before", "held_out_pair_accuracy_after"} <= set(trained.metrics)
    card = (out / "README.md").read_text()
    assert "1 of 4 tasks (3 rows) are held out" in card and '"beta": 0.3' in card
    assert f"base_model: {tmp_path}/strong" in card and "elsewhere" not in card


def test_sft_is_measured_on_tasks_that_it_did_not_see(tmp_path: Path) -> None:
    trained = w2s.train_sft(
        runs(kinds=[GOOD]),
        model=model(),
        output_dir=tmp_path / "out",
        holdout=0.5,
        args=sft_args(max_steps=20),
    )
    assert trained.metrics["num_trained_rows"] == trained.metrics["num_held_out_rows"] == 2
    before, after = (trained.metrics[f"held_out_loss_{when}"] for when in ("before", "after"))
    assert after < before


def test_the_same_call_gives_the_same_weights_and_another_order_the_same_split(
    tmp_path: Path,
) -> None:
    def weights(name: str, given: list[Trajectory], **options: Any) -> Any:
        w2s.train_sft(given, model=model(), output_dir=tmp_path / name, args=sft_args(), **options)
        return AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict()

    key = "model.layers.0.mlp.up_proj.weight"
    a, b, c = (
        weights(name, runs(), seed=seed, holdout=0.25)[key]
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert torch.equal(a, b) and not torch.equal(a, c)
    cards = [(tmp_path / name / "README.md").read_text() for name in "ab"]
    assert [line for line in cards[0].splitlines() if "SHA" in line] == [
        line for line in cards[1].splitlines() if "SHA" in line
    ]


def test_adapters_are_merged(tmp_path: Path) -> None:
    w2s.train_dpo(
        pairs(runs()),
        policy=model(),
        output_dir=tmp_path / "out",
        args=dpo_args(),
        peft_config=Lora(r=4, alpha=8),
        holdout=0,
    )
    names = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    assert not any("lora" in name for name in names)
    assert '"r": 4' in (tmp_path / "out" / "README.md").read_text()


def test_adapters_are_kept_unmerged_on_request(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    save_model(tmp_path / "start", tiny_model(tokenizer), tokenizer)
    w2s.train_dpo(
        pairs(runs()),
        policy=tmp_path / "start",
        output_dir=tmp_path / "out",
        args=dpo_args(),
        peft_config=Lora(r=4, alpha=8, merge=False),
        holdout=0,
    )
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert load_model(tmp_path / "out")[0].name_or_path == f"{tmp_path / 'out'}"


def test_a_set_of_layers_is_written_alike_by_every_process() -> None:
    """PEFT keeps names in a set, whose order another process need not have."""
    names = {f"layer_{i}" for i in range(9)}
    assert json.loads(json.dumps({"target_modules": names}, default=plain)) == {
        "target_modules": sorted(names)
    }


def test_a_reference_in_a_folder_called_start_is_that_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    save_model("start", tiny_model(tokenizer, seed=1), tokenizer)
    trained = w2s.train_dpo(
        pairs(runs()),
        policy=model(),
        reference=Path("start"),
        output_dir="out",
        args=dpo_args(),
        holdout=0,
    )
    assert trained.metrics["trained_pair_accuracy_before"] != 0.5


@pytest.mark.parametrize("reference", ["start", None])
def test_unshared_trains_the_same(reference: Any, tmp_path: Path) -> None:
    """One batch of all rows a step, so that both see the same rows at once."""
    trained = [
        w2s.train_dpo(
            pairs(runs()),
            policy=model(),
            reference=reference,
            output_dir=tmp_path / f"{unshared}",
            completion="suffix",
            args=dpo_args(per_device_train_batch_size=64, logging_steps=1),
            holdout=0.25,
            unshared=unshared,
        )
        for unshared in (False, True)
    ]
    losses = [[entry["loss"] for entry in t.losses] for t in trained]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    of_trees, apart = (
        {name: value for name, value in t.metrics.items() if "seconds" not in name} for t in trained
    )
    assert of_trees == pytest.approx(apart, abs=1e-3)


@pytest.mark.parametrize("unshared", [False, True])
def test_a_warm_up_is_so_many_steps_and_never_all(unshared: bool, tmp_path: Path) -> None:
    def rates(num_steps: int, **settings: Any) -> list[float]:
        args = sft_args(
            max_steps=num_steps,
            logging_steps=1,
            lr_scheduler_type="constant_with_warmup",
            **settings,
        )
        out = tmp_path / f"{num_steps}-{settings}"
        trained = w2s.train_sft(
            runs(), model=model(), output_dir=out, args=args, holdout=0, unshared=unshared
        )
        return [entry["learning_rate"] for entry in trained.losses]

    assert rates(4, warmup_steps=2) == pytest.approx([0, 5e-4, 1e-3, 1e-3])
    assert rates(4, warmup_steps=0.5) == pytest.approx([0, 5e-4, 1e-3, 1e-3])
    assert rates(2, warmup_steps=10) == pytest.approx([0, 1e-3])


@pytest.mark.parametrize("losses", [["sft", "sigmoid"], ["sigmoid", "sft", "robust"]])
def test_unshared_losses_are_those_of_the_step_in_any_order(
    losses: list[str], tmp_path: Path
) -> None:
    """Rows of unequal lengths, so that micro-batches share rows and tokens otherwise."""
    found = []
    for size in (1, 4):
        trained = w2s.train_dpo(
            pairs(runs(num_tasks=2)),
            policy=model(),
            output_dir=tmp_path / f"{size}",
            completion="suffix",
            args=dpo_args(
                loss_type=losses,
                loss_weights=[1.0, 0.5, 0.25][: len(losses)],
                per_device_train_batch_size=size,
                gradient_accumulation_steps=4 // size,
                logging_steps=1,
            ),
            holdout=0,
            unshared=True,
        )
        found.append([e[figure] for e in trained.losses for figure in ("loss", "grad_norm")])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


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


def test_a_model_that_trees_refuse_is_trained_unshared(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    recurrent = MambaForCausalLM(
        MambaConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, state_size=4)
    )
    with pytest.warns(RowWarning, match=r"MambaForCausalLM has layers .* by itself"):
        trained = w2s.train_sft(
            runs(kinds=[GOOD]),
            model=(recurrent, tokenizer),
            output_dir=tmp_path / "out",
            args=sft_args(max_steps=20),
            holdout=0.25,
        )
    assert trained.metrics["held_out_loss_after"] < trained.metrics["held_out_loss_before"]


def test_rows_of_datasets_train_what_the_pairs_train(tmp_path: Path) -> None:
    found = pairs(runs(), min_gap=0.1)
    for name, given in (("pairs", found), ("rows", w2s.preference_dataset(found))):
        w2s.train_dpo(given, policy=model(), output_dir=tmp_path / name, args=dpo_args(), holdout=0)
    assert digest(tmp_path / "pairs") == digest(tmp_path / "rows")


def test_sft_rows_of_datasets_train_what_the_runs_train(tmp_path: Path) -> None:
    start = model()
    best = runs(kinds=[GOOD])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowWarning)
        given = {
            "runs": best,
            "messages": w2s.sft_dataset(best),
            "tokens": w2s.sft_dataset(best, tokenizer=start[1]),
        }
    for name, rows in given.items():
        w2s.train_sft(rows, model=model(), output_dir=tmp_path / name, args=sft_args(), holdout=0)
    assert len({digest(tmp_path / name) for name in given}) == 1


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


def digest(out: Path) -> str:
    (line,) = (x for x in (out / "README.md").read_text().splitlines() if x.startswith("SHA-256"))
    return line


def test_a_folder_that_holds_something_is_not_trained_into(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="holds files already"):
        w2s.train_sft(runs(), model=model(), output_dir=tmp_path, args=sft_args())
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (".", r"\.: is a link, a mount or the current directory.* name a new folder in it"),
        ("link", "link: is a link, a mount or the current directory"),
        ("file/out", "file/out: .*/file is no folder"),
        ("/proc/out/deep", "/proc/out/deep: no folder can be made in /proc"),
    ],
)
def test_where_no_folder_can_be_put_is_told_before_the_training(
    output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path / "empty" if output == "." else tmp_path)
    with pytest.raises(InvalidInput, match=message):
        w2s.train_sft(runs(), model="never opened", output_dir=output)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / "out",
            args=sft_args(),
            holdout=0,
            progress=stop,
        )
    assert not list(tmp_path.iterdir())


def test_an_interrupted_call_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def train(name: str, **options: Any) -> dict[str, Any]:
        w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / name,
            args=sft_args(max_steps=4, save_steps=2, save_strategy="steps", logging_steps=1),
            holdout=0,
            **options,
        )
        return dict(AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict())

    def stop_at_3(step: int, *_: Any) -> None:
        if step == 3:
            raise KeyboardInterrupt

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("cut", progress=stop_at_3)
    with pytest.raises(InvalidInput, match=r"an interrupted training is there.*differs in.*seed"):
        train("cut", seed=8)
    steps: list[int] = []
    resumed = train("cut", progress=lambda step, *_: steps.append(step))
    assert steps == [3, 4]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "whole"]
    curve = (tmp_path / "cut" / "losses.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in curve] == [1, 2, 3, 4]


def test_an_interrupt_before_any_checkpoint_says_so(tmp_path: Path) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with (
        pytest.warns(RowWarning, match="no checkpoint was due yet"),
        pytest.raises(KeyboardInterrupt),
    ):
        w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / "out",
            args=sft_args(),
            holdout=0,
            progress=stop,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("unshared", [False, True])
def test_a_training_that_failed_after_its_last_step_takes_no_further_one(
    unshared: bool, tmp_path: Path
) -> None:
    """As on a full disk; the rate is constant, so that a step too many would be seen."""

    def train(name: str, progress: Any = None) -> Any:
        trained = w2s.train_sft(
            runs(),
            model=model(),
            output_dir=tmp_path / name,
            args=sft_args(max_steps=3, logging_steps=1, lr_scheduler_type="constant"),
            holdout=0,
            unshared=unshared,
            progress=progress,
        )
        assert [entry["step"] for entry in trained.losses] == [1, 2, 3]
        assert trained.metrics["num_steps"] == 3
        return AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict()

    def fill(step: int, *_: Any) -> None:
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / f"{step}").touch()

    whole = train("whole")
    with pytest.raises(InvalidInput, match="holds files already"):
        train("cut", fill)
    shutil.rmtree(tmp_path / "cut")
    again = train("cut")
    assert all(torch.equal(again[name], whole[name]) for name in whole)


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
