"""Where the tests of an experiment run."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support.kitchen import Kitchen
from support.treasure_hunters import EXAMPLE

from w2stree.cli.app import main


@pytest.fixture
def the_example_s_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE.parent)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLE.parents[1] / "tests"))


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path / "run")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., CompletedProcess[str]]:
    """`command("run", "miniature", cwd=folder)` in the test's own process, where a new one would
    import torch for seconds before it says no. Not for what trains: that sets torch's threads and
    seeds for the whole process. What else a command sets for its process is undone."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    before = dict(os.environ)

    def run(*arguments: str, cwd: Path) -> CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as here, warnings.catch_warnings():
            here.chdir(cwd)
            warnings.simplefilter("default")
            warnings.showwarning = _show
            try:
                status = main(arguments)
            finally:
                os.environ.clear()
                os.environ.update(before)
        return CompletedProcess(arguments, status, *capsys.readouterr())

    return run


def _show(message: Warning | str, *_: object, **__: object) -> None:
    print(warnings.formatwarning(message, UserWarning, "", 0), end="", file=sys.stderr)
