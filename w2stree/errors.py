"""The package's typed errors and warnings: one name for each kind of trouble.

`InvalidInput` is the core's own exception (a `ValueError`), raised by C++ and Python alike;
`ForestFileError` is an `InvalidInput` about a file.
"""

from w2stree._core import ForestFileError, InvalidInput

__all__ = [
    "EnvironmentFailure",
    "ExplorationFailure",
    "ForestFileError",
    "IdenticalTrajectories",
    "InvalidInput",
    "JournalError",
    "MissingDependency",
    "ModelFailure",
    "RunDirectoryError",
]


class MissingDependency(ImportError):  # noqa: N818 (agreed name)
    """An optional dependency is not installed; the message gives the `pip install` line."""


class EnvironmentFailure(RuntimeError):  # noqa: N818 (agreed name)
    """An environment or its process failed. Never a failed trajectory: nothing was learned."""


class ExplorationFailure(RuntimeError):  # noqa: N818 (as EnvironmentFailure)
    """One episode after the other ends in an error: playing on would only use up attempts."""


class ModelFailure(RuntimeError):  # noqa: N818 (as EnvironmentFailure)
    """A model or its server gave no answer. Never a failed trajectory: nothing was learned."""


class JournalError(RuntimeError):
    """A journal cannot be read or written: damaged, held by another writer, or the disk is full.

    What was acknowledged before is in the file; nothing that was not is counted.
    """


class RunDirectoryError(RuntimeError):
    """A run directory is torn, in use, or was made by another configuration."""


class IdenticalTrajectories(UserWarning):
    """All trajectories of a task took the same actions: likely greedy decoding, no pairs."""
