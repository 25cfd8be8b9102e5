"""What tests of forest files share."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from support.forest_files import EPISODES

from w2stree import Forest, IdenticalTrajectories, build_forest


@pytest.fixture
def forest() -> Forest:
    with warnings.catch_warnings(action="ignore", category=IdenticalTrajectories):
        return build_forest(EPISODES)


@pytest.fixture
def saved(forest: Forest, tmp_path: Path) -> Path:
    forest.save(tmp_path / "saved.forest")
    return tmp_path / "saved.forest"
