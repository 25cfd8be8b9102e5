"""One base for every error of the package, and what each makes the command line end with."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import w2stree
from w2stree import errors
from w2stree.cli.app import main
from w2stree.errors import (
    ContextExceeded,
    CutReturns,
    EngineFailure,
    EnvironmentFailure,
    EnvironmentNotStarted,
    Error,
    ExplorationFailure,
    ForestFileError,
    IdenticalTrajectories,
    InvalidInput,
    JournalError,
    MissingDependency,
    ModelFailure,
    RunDirectoryError,
    ServerUnreachable,
    StoreError,
    UnsupportedSystem,
)

EXIT_STATUS = {
    Error: 2,
    InvalidInput: 2,
    ForestFileError: 2,
    MissingDependency: 2,
    JournalError: 2,
    RunDirectoryError: 2,
    StoreError: 2,
    EnvironmentFailure: 1,
    EnvironmentNotStarted: 1,
    EngineFailure: 1,
    ExplorationFailure: 1,
    ModelFailure: 1,
    ContextExceeded: 1,
    ServerUnreachable: 1,
    UnsupportedSystem: 2,
}


def test_every_error_is_listed_with_its_exit_status() -> None:
    named = {getattr(errors, name) for name in errors.__all__}
    assert {kind for kind in named if not issubclass(kind, Warning)} == set(EXIT_STATUS)
    assert all(issubclass(kind, Error) for kind in EXIT_STATUS)
    assert {kind: kind.exit_status for kind in EXIT_STATUS} == EXIT_STATUS
    assert w2stree.Error is Error


def test_errors_stay_what_other_code_catches() -> None:
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(ForestFileError, InvalidInput)
    assert issubclass(MissingDependency, ImportError)
    assert not issubclass(Error, ValueError)
    for warning in (CutReturns, IdenticalTrajectories):
        assert issubclass(warning, UserWarning) and not issubclass(warning, Error)


@pytest.mark.parametrize("kind", EXIT_STATUS)
def test_errors_go_through_pickle_as_they_are(kind: type[Error]) -> None:
    error = pickle.loads(pickle.dumps(kind("step 3: click[buy now]")))
    assert type(error) is kind
    assert str(error) == "step 3: click[buy now]"
    assert error.exit_status == EXIT_STATUS[kind]


def test_the_core_raises_them(tmp_path: Path) -> None:
    (tmp_path / "no.forest").write_bytes(b"not one")
    with pytest.raises(Error, match="byte 0") as caught:
        w2stree.open_forest(tmp_path / "no.forest")
    assert type(caught.value) is ForestFileError
    forest = w2stree.build_forest([w2stree.Trajectory("t", (), (), 1.0, "done")])
    with pytest.raises(Error, match="min_gap"):
        forest.pairs(min_gap=-1.0)


@pytest.mark.parametrize("kind", [*EXIT_STATUS, OSError])
def test_the_command_line_ends_with_the_errors_status(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("samplings[0]: [bold]no[/bold] :smile:")

    monkeypatch.setattr("w2stree.formats.reading.read_files", fail)
    assert main(["tree", "."]) == EXIT_STATUS.get(kind, 2)
    assert capsys.readouterr() == ("", "w2stree: samplings[0]: [bold]no[/bold] :smile:\n")
