"""The public face: small, lazy, complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import w2stree

OPTIONAL = (
    *("torch", "transformers", "trl", "peft", "datasets", "pydantic", "yaml"),
    *("jinja2", "matplotlib"),
)


def run(code: str, cwd: Path) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_import_is_fast(tmp_path: Path) -> None:
    code = "import time; t = time.perf_counter(); import w2stree; print(time.perf_counter() - t)"
    assert min(float(run(code, tmp_path)) for _ in range(5)) < 0.150


def test_import_loads_no_optional_dependency(tmp_path: Path) -> None:
    code = "import sys, w2stree; w2stree.build_forest; w2stree.SearchResult; print(*sys.modules)"
    loaded = set(run(code, tmp_path).split())
    assert "w2stree.forest.forest" in loaded
    assert not loaded & set(OPTIONAL)


def test_every_public_name_is_listed_and_resolves() -> None:
    assert sorted(w2stree._HOME) == sorted(set(w2stree.__all__) - {"__version__"})
    assert set(w2stree.__all__) <= set(dir(w2stree))
    for name in w2stree.__all__:
        assert getattr(w2stree, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'w2stree' has no attribute 'tree_of_life'"):
        w2stree.tree_of_life  # noqa: B018
