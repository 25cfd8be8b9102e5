"""Every argument of TRL's configurations holds on trees, or is refused by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from support.tree_training import config
from trl import DPOConfig, SFTConfig

from w2stree.errors import InvalidInput
from w2stree.training.trees.arguments import (
    HOLDING,
    REFUSED,
    names,
    objective_of,
    refuse_what_trees_cannot,
)

pytestmark = pytest.mark.train


def test_no_argument_is_unspoken_of() -> None:
    """A new release's new argument is noticed here, and refused until it stands in a table."""
    assert names(SFTConfig) | names(DPOConfig) == HOLDING | REFUSED.keys()


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("sft", "packing", True),
        ("sft", "padding_free", True),
        ("sft", "neftune_noise_alpha", 5.0),
        ("sft", "assistant_only_loss", True),
        ("sft", "torch_compile", True),
        ("sft", "train_sampling_strategy", "group_by_length"),
        ("sft", "optim", "adalomo"),
        ("sft", "average_tokens_across_devices", False),
        ("dpo", "use_liger_kernel", True),
        ("dpo", "activation_offloading", True),
        ("dpo", "sync_ref_model", True),
        ("dpo", "ld_alpha", 0.5),
        ("dpo", "accelerator_config", {"split_batches": True}),
        ("dpo", "pad_to_multiple_of", 8),
        ("dpo", "hub_model_id", "me/mine"),
    ],
)
def test_what_cannot_hold_is_refused_by_name(
    method: str, name: str, value: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=rf"{name}=.* cannot hold on trees: \w"):
        refuse_what_trees_cannot(config(method, tmp_path, **{name: value}))


def test_defaults_hold(tmp_path: Path) -> None:
    for kind in (SFTConfig, DPOConfig):
        refuse_what_trees_cannot(kind(output_dir=str(tmp_path), use_cpu=True))


@pytest.mark.parametrize(
    ("method", "options", "told"),
    [
        ("sft", {"loss_type": "dft"}, "loss_type='dft'"),
        ("dpo", {"loss_type": ["sft"], "loss_weights": None}, "loss_type="),
        ("dpo", {"loss_type": ["hinge"], "loss_weights": None}, "loss_type="),
        ("dpo", {"loss_type": ["ipo", "sigmoid"]}, "loss_type="),
        ("dpo", {"label_smoothing": 0.1}, "is of loss_type robust, not of sigmoid"),
        ("dpo", {"loss_weights": [0.0, 1.0]}, "give a number above 0"),
    ],
)
def test_losses_that_are_not_computed_are_refused(
    method: str, options: Any, told: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=told):
        objective_of(config(method, tmp_path, **options))
