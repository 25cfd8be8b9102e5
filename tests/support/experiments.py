"""The smallest experiment with every method, whatever its environment: tiny models, few tasks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

METHODS = ("random", "sft_weak", "sft_strong", "tree_dpo", "mcts_sft", "ceiling")


def smallest(environment: dict[str, Any], tasks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A configuration; the weak model learns its demonstrations nearly by heart, so that warm
    samplings of it end differently."""
    often = {"num_epochs": 30, "learning_rate": 5.0e-3}
    once = {"optimisation": {"num_epochs": 1, "learning_rate": 1.0e-3}}
    size = {"num_layers": 2, "num_heads": 2, "intermediate_size": 128}
    return {
        "name": "smallest",
        "num_threads": 1,
        "max_length": 2000,
        "tokenizer": {"vocab_size": 500, "phrase_min_count": 4},
        "environment": environment,
        "tasks": tasks,
        "weak": {"architecture": {"hidden_size": 64, **size}, "sft": often},
        "strong": {"architecture": {"hidden_size": 96, **size}, "sft": often},
        "explore": {"samplings": [{"temperature": t} for t in (0, 0.5, 1.0, 1.5)]},
        "search": {"num_simulations": 50},
        "tree_dpo": {"max_rows": 6, **once},
        "mcts_sft": once,
        "ceiling": once,
        "evaluate": {"num_bootstrap": 100},
        **changes,
    }


def w2stree(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command, run in a folder."""
    command = [sys.executable, "-m", "w2stree", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)


def run(config: dict[str, Any], cwd: Path) -> subprocess.CompletedProcess[str]:
    """`w2stree run` of a configuration, in `runs/smallest`."""
    (cwd / "smallest.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return w2stree("run", "smallest.yaml", cwd=cwd)


def stages_run(said: str) -> list[str]:
    """The stages that ran, of what `w2stree run` says, in order: not those of advice that has the
    word."""
    lines = [line.split() for line in said.splitlines()]
    return [line[0] for line in lines if line[1:] and line[1].startswith("running")]
