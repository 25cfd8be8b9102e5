"""Where the tests of an experiment run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.kitchen import Kitchen
from support.treasure_hunters import EXAMPLE


@pytest.fixture
def the_example_s_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE.parent)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parents[1] / "tests"))


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path / "run")
