"""`TreeTrainer`: the arguments that people know do what they know, step by step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from peft import LoraConfig
from support.tiny_models import tiny_model, tiny_tokenizer
from support.tree_training import config, pairs, sft_examples, trainer

from w2stree.errors import InvalidInput, RowsTooLong, RowWarning
from w2stree.training.trees.objectives import Dpo, Sft
from w2stree.training.trees.trainer import TreeTrainer

pytestmark = pytest.mark.train


def _trained(made: TreeTrainer) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    made.train()
    steps = [entry for entry in made.state.log_history if "loss" in entry]
    return steps, made.model.state_dict()


def _assert_same(one: Any, other: Any, atol: float = 2e-5) -> None:
    assert [s["loss"] for s in one[0]] == pytest.approx([s["loss"] for s in other[0]], rel=1e-5)
    for name, weight in other[1].items():
        torch.testing.assert_close(one[1][name], weight, atol=atol, rtol=0)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_cuts_change_nothing_but_memory(method: str, tmp_path: Path) -> None:
    whole = _trained(
        trainer(method, tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=1)
    )
    assert [s["epoch"] for s in whole[0]] == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    cut = trainer(
        method,
        tmp_path,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=1,
        max_pack_tokens=20,
    )
    assert len(cut._packing(list(cut.train_dataset)).packs) > 3
    _assert_same(_trained(cut), whole)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_step_in_micro_batches_is_the_whole_batch_s(method: str, tmp_path: Path) -> None:
    """In the examples' own order, so that both take the same ones."""
    options = {"train_sampling_strategy": "sequential", "per_device_eval_batch_size": 3}
    parts = _trained(trainer(method, tmp_path, **options))
    whole = _trained(
        trainer(
            method,
            tmp_path,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=1,
            **options,
        )
    )
    _assert_same(parts, whole)


def test_the_first_loss_is_the_mean_of_the_step_s_examples(tmp_path: Path) -> None:
    made = trainer("dpo", tmp_path, max_steps=1, train_sampling_strategy="sequential")
    examples = pairs()[:4]
    expected = made.loss_of(examples, Dpo(0.1, 0.5))
    steps, _ = _trained(made)
    assert steps[0]["loss"] == pytest.approx(expected, rel=1e-5)
    tokens = sum(len(s.ids) for e in examples for s in e.sequences)
    assert steps[0]["num_tokens"] == tokens
    assert made.shared_ratio > 1
    assert {"rewards/accuracies", "logps/chosen", "mean_token_accuracy"} <= steps[0].keys()


def test_an_evaluation_is_the_mean_of_all_its_examples(tmp_path: Path) -> None:
    """However they are batched, and by name."""
    held_out = pairs(7)
    by_size = [
        trainer("dpo", tmp_path, eval_dataset=held_out, per_device_eval_batch_size=size).evaluate()
        for size in (2, 7)
    ]
    for name in ("eval_loss", "eval_rewards/accuracies", "eval_logps/chosen"):
        assert by_size[0][name] == pytest.approx(by_size[1][name], rel=1e-6)
    named = trainer("dpo", tmp_path, eval_dataset={"a": held_out, "b": held_out[:2]}).evaluate()
    assert named["eval_a_loss"] == pytest.approx(by_size[0]["eval_loss"], rel=1e-6)
    assert named["eval_b_loss"] != named["eval_a_loss"]


def test_the_best_checkpoint_is_loaded_at_the_end(tmp_path: Path) -> None:
    """A rate that makes things worse: the first evaluation is the best one."""
    made = trainer(
        "sft",
        tmp_path,
        eval_dataset=sft_examples(4),
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=2,
        load_best_model_at_end=True,
        learning_rate=0.3,
        max_steps=4,
    )
    made.train()
    evaluations = [e["eval_loss"] for e in made.state.log_history if "eval_loss" in e]
    assert len(evaluations) == 4
    assert made.evaluate()["eval_loss"] == pytest.approx(min(evaluations), rel=1e-6)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_adapters_are_trained_alone_and_without_dropout(method: str, tmp_path: Path) -> None:
    adapters = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.1, target_modules=["q_proj", "v_proj"])
    before = tiny_model(tiny_tokenizer()).state_dict()
    with pytest.warns(RowWarning, match=r"lora_dropout 0\.1 is 0 on trees") as told:
        made = trainer(
            method,
            tmp_path,
            peft_config=adapters,
            learning_rate=1e-2,
            activation_checkpointing=True,
        )
    assert sum(issubclass(w.category, RowWarning) for w in told) == 1
    assert adapters.lora_dropout == 0.1, "the caller's own is left as it was"
    steps, _ = _trained(made)
    assert steps[-1]["loss"] < steps[0]["loss"]
    made.save_model(str(tmp_path / "adapter"))
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    merged = made.model.merge_and_unload().state_dict()
    changed = {name for name in before if not torch.equal(before[name], merged[name])}
    assert changed
    assert all("q_proj" in name or "v_proj" in name for name in changed)


def test_activation_checkpointing_and_workers_change_nothing(tmp_path: Path) -> None:
    plain = _trained(trainer("dpo", tmp_path))
    _assert_same(
        _trained(trainer("dpo", tmp_path, activation_checkpointing=True, dataloader_num_workers=1)),
        plain,
        atol=1e-6,
    )


def test_bfloat16_learns_nearly_as_float32(tmp_path: Path) -> None:
    exact, rounded = (_trained(trainer("dpo", tmp_path, bf16=bf16)) for bf16 in (False, True))
    assert all(weight.dtype == torch.float32 for weight in rounded[1].values())
    losses = [[s["loss"] for s in steps] for steps, _ in (exact, rounded)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)
    assert losses[0] != losses[1]


def test_schedules_and_optimisers_are_transformers(tmp_path: Path) -> None:
    steps, _ = _trained(
        trainer("sft", tmp_path, lr_scheduler_type="cosine", optim="sgd", warmup_steps=2)
    )
    rates = [s["learning_rate"] for s in steps]
    assert rates[:3] == pytest.approx([0.0, 5e-4, 1e-3])
    assert rates[-1] < rates[3] < 1e-3
    one = trainer("sft", tmp_path, max_steps=1, warmup_steps=0.5)
    assert _trained(one)[0][0]["learning_rate"] == 1e-3, "a step is left to learn in"


def test_rows_too_long_are_left_out_and_said(tmp_path: Path) -> None:
    examples = sft_examples()
    lengths = sorted(len(e.sequences[0].ids) for e in examples)
    kept = sum(n <= lengths[5] for n in lengths)
    with pytest.warns(RowsTooLong, match=rf"{11 - kept} of 11 examples exceed max_length"):
        made = trainer("sft", tmp_path, max_length=lengths[5])
    assert len(made.train_dataset) == kept
    with pytest.raises(InvalidInput, match="none is left; raise it"):
        trainer("sft", tmp_path, max_length=3)


@pytest.mark.parametrize(
    ("loss_type", "options", "objective"),
    [
        (["sigmoid"], {}, Dpo(0.1)),
        (["robust"], {"label_smoothing": 0.1}, Dpo(0.1, label_smoothing=0.1, is_robust=True)),
        (["sft", "sigmoid"], {"loss_weights": [0.25, 1.0]}, Dpo(0.1, 0.25)),
    ],
)
def test_the_configuration_names_the_loss(
    loss_type: list[str], options: Any, objective: Any, tmp_path: Path
) -> None:
    options = {"loss_weights": None, "loss_type": loss_type, **options}
    assert trainer("dpo", tmp_path, **options).objective == objective


def test_weights_of_losses_multiply_them(tmp_path: Path) -> None:
    made = trainer(
        "dpo", tmp_path, loss_type=["ipo", "sft"], loss_weights=[2.0, 0.5], eval_dataset=pairs(3)
    )
    alone = [
        trainer(
            "dpo", tmp_path, loss_type=["ipo"], loss_weights=None, eval_dataset=pairs(3)
        ).evaluate()["eval_loss"],
        made.loss_of([_first(e) for e in pairs(3)], Sft()),
    ]
    expected = 2 * alone[0] + 0.5 * alone[1]
    assert made.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-6)


def _first(example: Any) -> Any:
    return type(example)((example.sequences[0],))


def test_examples_of_another_loss_and_no_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"examples\[0\] has 2 sequences"):
        trainer("sft", tmp_path, examples=pairs())
    with pytest.raises(InvalidInput, match="no examples"):
        trainer("sft", tmp_path, examples=[])


def test_nothing_is_sent_to_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is opened."""
    import socket

    def refuse(*args: Any) -> None:
        raise AssertionError(f"connects to {args[1:]}")

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    steps, _ = _trained(trainer("dpo", tmp_path, max_steps=1))
    assert math.isfinite(steps[0]["loss"])


def test_of_several_gpus_one_is_used(tmp_path: Path) -> None:
    args = config("sft", tmp_path)
    _ = args.n_gpu
    args._n_gpu = 2
    made = TreeTrainer(tiny_model(tiny_tokenizer()), args, sft_examples())
    assert made.args.n_gpu == 1
    assert made._train_batch_size == 2


def test_under_fsdp_no_pack_is_cut(tmp_path: Path) -> None:
    """All processes take part in each forward pass: of parts they may have differing numbers."""
    made = trainer("dpo", tmp_path, max_pack_tokens=20)
    batches = iter(made.get_train_dataloader())
    made.is_fsdp_enabled = True  # all that is read of it; FSDP itself needs accelerators
    with pytest.raises(InvalidInput, match=r"more than max_pack_tokens \(20\) .* under FSDP"):
        made.get_batch_samples(batches, 1, torch.device("cpu"))
