"""The public face: small, lazy, complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import w2stree

OPTIONAL = (
    *("torch", "transformers", "trl", "peft", "datasets", "yaml"),
    *("jinja2", "matplotlib"),
)
# What the command line is made of: installed always, imported by it alone.
COMMAND_LINE = ("typer", "rich", "click", "pydantic")


def run(code: str, cwd: Path) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_import_is_fast(tmp_path: Path) -> None:
    """One small file: neither NumPy nor another module of the package."""
    code = (
        "import sys; before = set(sys.modules); import w2stree; print(*set(sys.modules) - before)"
    )
    loaded = run(code, tmp_path).split()
    assert [m for m in loaded if m.partition(".")[0] not in sys.stdlib_module_names] == ["w2stree"]


def test_import_loads_no_optional_dependency(tmp_path: Path) -> None:
    code = (
        "import sys, w2stree as w2s\n"
        "step = w2s.Step('go', 'there')\n"
        "forest = w2s.build_forest([w2s.Trajectory('t', (), (step,), 1.0, 'done')])\n"
        "forest.pairs(), forest.search(), forest.summary(), w2s.Error\n"
        "print(*sys.modules)"
    )
    loaded = set(run(code, tmp_path).split())
    assert "w2stree.forest.forest" in loaded
    assert not loaded & {*OPTIONAL, *COMMAND_LINE}


def test_every_public_name_is_listed_and_resolves() -> None:
    stub = Path(w2stree.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    imported = re.findall(r"^from w2stree\.([\w.]+) import (\w+) as \2$", stub, re.MULTILINE)
    assert {name: module for module, name in imported} == w2stree._HOME
    assert set(w2stree.__all__) <= set(dir(w2stree))
    for name in w2stree.__all__:
        assert getattr(w2stree, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'w2stree' has no attribute 'tree_of_life'"):
        w2stree.tree_of_life  # noqa: B018


def test_a_name_whose_packages_are_absent_says_how_to_get_them(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(torch=None, datasets=None)\n"
        "import w2stree\ntry: w2stree.Fitting\nexcept w2stree.Error as error: print(error)"
    )
    expected = r"w2stree\.Fitting needs \w+: pip install 'w2stree\[train\]'\n"
    assert re.fullmatch(expected, run(code, tmp_path))
