"""The package's typed errors and warnings: one name for each kind of trouble.

Error                        exit_status 2: the user can mend it
├── InvalidInput             data or options are wrong (also a ValueError)
│   └── ForestFileError      not a forest file, or a torn or altered one
├── MissingDependency        (also an ImportError)
├── JournalError
├── RunDirectoryError
├── StoreError
├── UnsupportedSystem
├── EnvironmentFailure       exit_status 1: something outside failed
│   └── EnvironmentNotStarted  nothing was played: it says nothing about a sample
├── EngineFailure            exit_status 1
├── ExplorationFailure       exit_status 1
└── ModelFailure             exit_status 1
    ├── ContextExceeded      ends the episode as truncated
    └── ServerUnreachable    nothing was said: it says nothing about a sample

`exit_status` is what the command line ends with. The first three classes are the core's own:
C++ and Python raise the same ones.
"""

import sys

from w2stree._core import Error, ForestFileError, InvalidInput

__all__ = [
    "ContextExceeded",
    "CutReturns",
    "EngineFailure",
    "EnvironmentFailure",
    "EnvironmentNotStarted",
    "EpisodesCutShort",
    "Error",
    "ExplorationFailure",
    "FilesPassedOver",
    "ForestFileError",
    "IdenticalTrajectories",
    "InvalidInput",
    "JournalError",
    "LikelihoodDisplaced",
    "MissingDependency",
    "ModelFailure",
    "RepeatedTrajectories",
    "RowWarning",
    "RowsTooLong",
    "RunDirectoryError",
    "SamplesUnfinished",
    "ServerUnreachable",
    "StoreError",
    "TasksPassedOver",
    "TurnsWithoutAction",
    "UnsupportedSystem",
]


class MissingDependency(Error, ImportError):  # noqa: N818 (agreed name)
    """An optional dependency is not installed; the message gives the `pip install` line."""


class EnvironmentFailure(Error, RuntimeError):  # noqa: N818 (agreed name)
    """An environment or its process failed. Never a failed trajectory: nothing was learned."""

    exit_status = 1


class EnvironmentNotStarted(EnvironmentFailure):
    """An environment's process did not come up: its constructor raises, or takes too long. Nothing
    was played, so that nothing is known of the sample either."""


class EngineFailure(Error, RuntimeError):  # noqa: N818 (as EnvironmentFailure)
    """An engine that many machines work by cannot be reached, or loses a call again and again. What
    was done before is kept."""

    exit_status = 1


class ExplorationFailure(Error, RuntimeError):  # noqa: N818 (as EnvironmentFailure)
    """One episode after the other ends in an error, or none can begin: playing on is of no use."""

    exit_status = 1


class ModelFailure(Error, RuntimeError):  # noqa: N818 (as EnvironmentFailure)
    """A model or its server gave no answer. Never a failed trajectory: nothing was learned."""

    exit_status = 1


class ContextExceeded(ModelFailure):
    """The next turn does not fit the model's positions. It ends the episode as truncated: what
    was played counts."""


class ServerUnreachable(ModelFailure):
    """No connection to the model's server could be made: refused, no such host, no way to it, or
    no TLS between us; or it sends us away for longer than is waited. Nothing was said, so that
    nothing is known of the sample either."""


class JournalError(Error, RuntimeError):
    """A journal cannot be read or written: damaged, held by another writer, or the disk is full.

    Everything acknowledged before is in the file; nothing else is counted.
    """


class RunDirectoryError(Error, RuntimeError):
    """A run directory is torn, in use, or was made by another configuration."""


class StoreError(Error, RuntimeError):
    """A store of runs cannot be read or written: damaged, held by another writer, no store, or the
    disk is full. What was acknowledged before is in it; the message names the file.
    """


class UnsupportedSystem(Error, RuntimeError):  # noqa: N818 (as EnvironmentFailure)
    """The system, or the Python on it, lacks what this needs, and pip has nothing to install."""


class CutReturns(UserWarning):
    """Scores beyond [0, 1] were cut: runs that differ may have one return, and make no pair."""


class IdenticalTrajectories(UserWarning):
    """All trajectories of a task took the same actions: likely greedy decoding, no pairs."""


class EpisodesCutShort(UserWarning):
    """Episodes ended, as truncated, where the model could read no further."""


class FilesPassedOver(UserWarning):
    """A folder has files that were not read: what was, may be a part."""


class LikelihoodDisplaced(UserWarning):
    """Preference training made the turns that it prefers less likely than they were."""


class RepeatedTrajectories(UserWarning):
    """Trajectories were read that had been read before, or may have been."""


class RowWarning(UserWarning):
    """Rows for a trainer are fewer than one might think, or it would train on more than the
    agent's turns."""


class RowsTooLong(UserWarning):
    """Rows exceed `max_length` tokens and are left out of training: mostly long runs, failures."""


class SamplesUnfinished(UserWarning):
    """Samples ended in errors alone: what is played teaches or measures without them."""


class TasksPassedOver(UserWarning):
    """Tasks cannot be reset: others are played in their place. Or the runs that somebody played of
    them are left out."""


class TurnsWithoutAction(UserWarning):
    """Most turns of an exploration had no action: the model answers in a form that is not read."""


def not_imported(error: ModuleNotFoundError, extra: str, wanted: str | None = None) -> Error:
    """What to raise where a module is absent that `extra` brings, or that `wanted` needs.

    A part of Python itself that is absent, since the system or this Python is without it, is
    `UnsupportedSystem`: pip has none. A package that is there and does not load has no name.
    """
    if error.name in sys.stdlib_module_names:
        return UnsupportedSystem(
            f"{error.name}, a part of Python, is not in this one ({sys.executable} on "
            f"{sys.platform}): use a Python that has it"
        )
    install = f"pip install 'w2stree[{extra}]'"
    if error.name is None:
        why = f" ({error.__cause__})" if error.__cause__ else ""
        return MissingDependency(f"a package does not load: {error}{why}; try {install} --upgrade")
    if wanted:
        return MissingDependency(f"{wanted} needs {error.name}: {install}")
    return MissingDependency(f"{error.name} is not installed: {install}")
