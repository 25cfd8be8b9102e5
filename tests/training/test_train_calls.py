"""`train_dpo` and `train_sft`: from pairs and paths to a folder with a trained model."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import GOOD, tiny_model, tiny_tokenizer
from support.train_calls import dpo_args, model, pairs, runs, sft_args
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig, MambaForCausalLM
from trl import SFTConfig

import w2stree as w2s
from w2stree.errors import InvalidInput, RowWarning
from w2stree.training.models import load_model, save_model
from w2stree.training.optimisation import Lora
from w2stree.training.trees.reference import plain
from w2stree.trajectories.trajectory import Trajectory

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced"),
]


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


@pytest.mark.parametrize("unshared", [False, True])
def test_a_configuration_need_not_say_use_cpu(unshared: bool, tmp_path: Path) -> None:
    """TRL's default beside it, bf16, is none on a device without bfloat16."""
    args = SFTConfig(
        output_dir="", bf16=False, max_steps=1, report_to=[], dataloader_pin_memory=False
    )
    w2s.train_sft(
        runs(), model=model(), output_dir=tmp_path / "out", args=args, holdout=0, unshared=unshared
    )
    card = (tmp_path / "out" / "README.md").read_text()
    assert '"bf16": false' in card and "use_cpu" not in card


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


def digest(out: Path) -> str:
    (line,) = (x for x in (out / "README.md").read_text().splitlines() if x.startswith("SHA-256"))
    return line


def test_what_the_reference_said_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    cache = tmp_path / "references"
    found = []
    for beta in (0.1, 0.3):
        w2s.train_dpo(
            pairs(runs(), min_gap=0.1),
            policy=model(),
            output_dir=tmp_path / str(beta),
            holdout=0,
            args=dpo_args(beta=beta, max_steps=1),
            reference_cache=cache,
        )
        found.append({file.name: file.stat().st_mtime_ns for file in cache.iterdir()})
    assert found[0] == found[1] != {}


def test_another_chat_template_is_saved_with_the_model(tmp_path: Path) -> None:
    policy, tokenizer = model()
    save_model(tmp_path / "model", policy, tokenizer)
    own = tokenizer.chat_template
    other = own.replace("{{ message.content }}", "{{ message.content | trim }}")
    (tmp_path / "other.jinja").write_text(other, encoding="utf-8")
    given = {"output_dir": tmp_path / "out", "chat_template": tmp_path / "other.jinja"}
    w2s.train_sft(runs(), model=tmp_path / "model", holdout=0, args=sft_args(max_steps=1), **given)
    assert own != other == AutoTokenizer.from_pretrained(tmp_path / "out").chat_template
    with pytest.raises(InvalidInput, match="chat_template is of a directory, and model is open"):
        w2s.train_sft(runs(), model=(policy, tokenizer), **given | {"output_dir": tmp_path / "o"})
