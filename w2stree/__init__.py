"""w2stree: trajectory trees from agent runs, failures included, and the training data in them.

Names load on first use, so `import w2stree` costs milliseconds and needs no optional extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from w2stree.errors import (
        EnvironmentFailure,
        Error,
        ExplorationFailure,
        ForestFileError,
        IdenticalTrajectories,
        InvalidInput,
        JournalError,
        MissingDependency,
        ModelFailure,
        RunDirectoryError,
    )
    from w2stree.forest.build import (
        build_forest,
        build_forest_from_arrow,
        build_forest_from_ids,
        build_forest_from_texts,
        merge_forests,
        open_forest,
    )
    from w2stree.forest.forest import Forest
    from w2stree.forest.pairs import PreferencePair, PreferencePairs
    from w2stree.forest.search import SearchResult
    from w2stree.forest.summary import ForestSummary
    from w2stree.forest.tree import Tree
    from w2stree.training.rows import preference_dataset, sft_dataset
    from w2stree.trajectories.files import read_trajectories, write_trajectories
    from w2stree.trajectories.trajectory import Message, Step, Trajectory

    __version__: str

_HOME = {
    "EnvironmentFailure": "errors",
    "Error": "errors",
    "ExplorationFailure": "errors",
    "Forest": "forest.forest",
    "ForestFileError": "errors",
    "ForestSummary": "forest.summary",
    "IdenticalTrajectories": "errors",
    "InvalidInput": "errors",
    "JournalError": "errors",
    "Message": "trajectories.trajectory",
    "MissingDependency": "errors",
    "ModelFailure": "errors",
    "PreferencePair": "forest.pairs",
    "PreferencePairs": "forest.pairs",
    "RunDirectoryError": "errors",
    "SearchResult": "forest.search",
    "Step": "trajectories.trajectory",
    "Trajectory": "trajectories.trajectory",
    "Tree": "forest.tree",
    "build_forest": "forest.build",
    "merge_forests": "forest.build",
    "open_forest": "forest.build",
    "build_forest_from_arrow": "forest.build",
    "build_forest_from_ids": "forest.build",
    "build_forest_from_texts": "forest.build",
    "preference_dataset": "training.rows",
    "read_trajectories": "trajectories.files",
    "sft_dataset": "training.rows",
    "write_trajectories": "trajectories.files",
}

__all__ = [  # literal, so that type checkers and editors see it; tests hold it to _HOME
    "EnvironmentFailure",
    "Error",
    "ExplorationFailure",
    "Forest",
    "ForestFileError",
    "ForestSummary",
    "IdenticalTrajectories",
    "InvalidInput",
    "JournalError",
    "Message",
    "MissingDependency",
    "ModelFailure",
    "PreferencePair",
    "PreferencePairs",
    "RunDirectoryError",
    "SearchResult",
    "Step",
    "Trajectory",
    "Tree",
    "__version__",
    "build_forest",
    "build_forest_from_arrow",
    "build_forest_from_ids",
    "build_forest_from_texts",
    "merge_forests",
    "open_forest",
    "preference_dataset",
    "read_trajectories",
    "sft_dataset",
    "write_trajectories",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("w2stree")
    elif name in _HOME:
        value = getattr(importlib.import_module(f"w2stree.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'w2stree' has no attribute {name!r}")
    globals()[name] = value  # found directly from now on
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
