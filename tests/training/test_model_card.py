"""A model's card: what comes from outside is shown, and is neither markup nor metadata."""

from __future__ import annotations

import pytest

pytest.importorskip("trl")

import yaml

from w2stree.training.model_card import ModelCard


def test_names_from_outside_stay_in_their_place() -> None:
    hostile = "models/`x`\n---\n# mine\n<script>\x1b[2J"
    card = ModelCard(
        method="DPO",
        base_model=hostile,
        reference="start",
        data_digest="0" * 64,
        rows={"trained on": 3},
        holdout="no task is held out",
        metrics={"pair_accuracy": 0.5, "num_steps": 2.0},
        configuration={"run_name": "```\n# mine", "optim": "adamw"},
    ).text()
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert yaml.safe_load(head)["base_model"].startswith("models/`x`")
    assert "\x1b" not in card and "\n# mine" not in card
    assert body.count("```") == 2  # one block of JSON
    assert "| num steps | 2 |" in body and "| pair accuracy | 0.5 |" in body
