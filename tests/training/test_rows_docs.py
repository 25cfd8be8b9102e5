"""docs/rows.md: its example trains what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree import write_trajectories
from w2stree.cli.app import main
from w2stree.training.models import load_model, save_model

pytestmark = pytest.mark.train

DOCS = Path(__file__).parents[2] / "docs" / "rows.md"


@pytest.mark.filterwarnings("ignore::w2stree.errors.RowWarning")  # one task: none is held out
@pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced")
def test_what_it_shows_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = DOCS.read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    commands = re.findall(r"    w2stree (train (?:\\\n|.)*)", text)
    assert block is not None and len(commands) == 2
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    for seed, name in enumerate(("weak", "strong")):
        save_model(f"models/{name}", tiny_model(tokenizer, seed=seed), tokenizer)
    write_trajectories("runs.jsonl", [GOOD, BAD, WORSE])
    exec(compile(block[1], str(DOCS), "exec"), {})
    start, imitated, preferred = (weights(name) for name in ("strong", "imitated", "preferred"))
    assert not torch.equal(start, imitated) and not torch.equal(imitated, preferred)
    for name in ("imitated", "preferred"):
        shutil.move(f"models/{name}", f"models/of_the_call_{name}")
    for command in commands:
        assert main(shlex.split(command.replace("\\\n", " "))) == 0
    for name in ("imitated", "preferred"):
        assert torch.equal(weights(name), weights(f"of_the_call_{name}"))


def weights(name: str) -> torch.Tensor:
    found: torch.Tensor = load_model(f"models/{name}")[0].state_dict()["model.embed_tokens.weight"]
    return found
