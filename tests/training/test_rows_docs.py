"""docs/rows.md: its example trains what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree import write_trajectories
from w2stree.training.models import load_model, save_model

pytestmark = pytest.mark.train

DOCS = Path(__file__).parents[2] / "docs" / "rows.md"


def test_the_example_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    for seed, name in enumerate(("weak", "strong")):
        save_model(f"models/{name}", tiny_model(tokenizer, seed=seed), tokenizer)
    write_trajectories("runs.jsonl", [GOOD, BAD, WORSE])
    exec(compile(block[1], str(DOCS), "exec"), {})
    start, imitated, preferred = (
        load_model(f"models/{name}")[0].state_dict()["model.embed_tokens.weight"]
        for name in ("strong", "imitated", "preferred")
    )
    assert not torch.equal(start, imitated) and not torch.equal(imitated, preferred)
