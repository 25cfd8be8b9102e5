"""A folder of runs is the one that the driver holds, or is refused with the reason."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from w2stree.errors import RunDirectoryError
from w2stree.experiment.grid import shared_folder
from w2stree.experiment.grid.shared_folder import SharedFolder
from w2stree.experiment.run_lock import LOCK, holding

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def held(tmp_path: Path) -> SharedFolder:
    """Of a folder whose driver is gone."""
    with holding(tmp_path):
        return SharedFolder.held_here(tmp_path)


def test_a_machine_that_has_the_folder_and_sees_its_lock_may_run_cells(tmp_path: Path) -> None:
    with holding(tmp_path):
        elsewhere = FORK.Process(target=SharedFolder.held_here(tmp_path).refuse_other)
        elsewhere.start()
        elsewhere.join()
    assert elsewhere.exitcode == 0


def test_one_that_does_not_see_the_lock_is_refused(held: SharedFolder) -> None:
    with pytest.raises(RunDirectoryError, match=r"the lock that .* driver holds is not seen here"):
        held.refuse_other()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lock: lock.unlink(), r"\.lock cannot be read there \(No such file"),
        (lambda lock: lock.write_text('{"pid": 1}\n'), r"another \.lock lies there"),
    ],
)
def test_another_folder_is_refused_after_a_while(
    held: SharedFolder,
    spoil: Callable[[Path], object],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_folder, "_LATE_S", 0.0)
    spoil(held.path / LOCK)
    with pytest.raises(RunDirectoryError, match=f"is not the folder of .* runs: {message}"):
        held.refuse_other()


def test_a_file_that_comes_late_is_waited_for(
    held: SharedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (held.path / LOCK).rename(held.path / "late")

    def comes(_: float) -> None:
        (held.path / "late").rename(held.path / LOCK)

    monkeypatch.setattr("time.sleep", comes)
    with pytest.raises(RunDirectoryError, match="is not seen here"):
        held.refuse_other()  # it is there, and nobody holds it
