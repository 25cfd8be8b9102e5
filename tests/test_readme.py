"""The README says what its example prints, and names files that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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


def test_the_files_it_names_exist() -> None:
    named = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    named += re.findall(r"`((?:docs|w2stree|bench|examples)/[\w/.]+\.\w+)`", README)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
