"""A report of a run, for all tests of it."""

from __future__ import annotations

import pytest
from support.reported_run import make_run, run_stage


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The three files of a report, by name."""
    folder = tmp_path_factory.mktemp("run")
    return run_stage(make_run(folder / "run"), folder / "report")
