"""What every exploration of the lock needs: environments, and a journal to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lock import Lock

from w2stree.environments.hosting.pool import EnvironmentPool


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Lock, 4) as pool:
        yield pool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "episodes.journal"
