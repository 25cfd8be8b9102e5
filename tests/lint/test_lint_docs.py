"""docs/lint.md says of every rule what it finds, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.lint_inputs import clean_runs, run

from w2stree import write_trajectories
from w2stree.forest.normalizers import NORMALIZERS
from w2stree.linting.finding import Rule

TEXT = (Path(__file__).parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")


def test_every_rule_and_every_normaliser_has_its_row_and_no_other() -> None:
    first = re.findall(r"^\| `([\w-]+)` \|", TEXT, flags=re.M)
    assert sorted(first) == sorted([*(rule.value for rule in Rule), *NORMALIZERS])


def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_trajectories("runs.jsonl", [*clean_runs(), run("cook", ["take c"], 1.5)])
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.S)
    exec(compile(example, "docs/lint.md", "exec"), {})
    assert capsys.readouterr().out.startswith("warning returns-out-of-range 1 runs.jsonl:13 ")
