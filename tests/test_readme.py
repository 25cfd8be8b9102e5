"""The README says what its example prints, and names files that exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import w2stree as w2s
from w2stree.errors import MissingDependency
from w2stree.forest import build_forest_from_arrow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert match, f"README.md has no {language} block"
    return match[1]


def test_the_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    example = ROOT / "examples" / "first_tree.py"
    assert _block("python").strip() == example.read_text(encoding="utf-8").strip()
    ran = subprocess.run(
        [sys.executable, example], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stdout == _block("text")


def test_what_it_shows_of_larger_logs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line by line, so that the authors' embedding, which is large, may be missing alone."""
    table = pytest.importorskip("pyarrow").table
    monkeypatch.chdir(tmp_path)
    text = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    runs = [run(task, action) for task in "ab" for action in ("go", "stay")]
    columns = {
        "task_id": ["c", "c"],
        "total_return": [1.0, 0.0],
        "actions": [["go"], ["stay"]],
        "observations": [["Well."], ["Well."]],
    }
    names = {
        "w2s": w2s,
        "build_forest_from_arrow": build_forest_from_arrow,
        "table": table(columns),
        "new_trajectories": [run("d", "go"), run("d", "stay")],
        "shards": [w2s.build_forest(runs[:2]), w2s.build_forest(runs[2:])],
        "runs": runs,
    }
    for statement in ast.parse(text).body:
        code = compile(ast.Module([statement], []), "README.md", "exec")
        try:
            exec(code, names)
        except MissingDependency as error:
            assert "similarity" in str(error) and "merging=rule" in ast.unparse(statement)


def run(task: str, action: str) -> w2s.Trajectory:
    prompt = (w2s.Message("user", f"Task {task}."),)
    return w2s.Trajectory(task, prompt, (w2s.Step(action, "Well."),), float(action == "go"), "done")


def test_the_files_it_names_exist() -> None:
    named = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    named += re.findall(r"`((?:docs|w2stree|bench|examples)/[\w/.]+\.\w+)`", README)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
