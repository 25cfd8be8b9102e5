"""w2stree: trajectory trees from agent runs, failures included, and the training data in them.

Names load on first use, so `import w2stree` costs milliseconds and needs no optional extra. Their
types are in `__init__.pyi`.
"""

import importlib
from typing import Any

_HOME = {
    "Message": "trajectories.trajectory",
    "Step": "trajectories.trajectory",
    "ToolCall": "trajectories.tool_call",
    "Origin": "trajectories.origin",
    "Trajectory": "trajectories.trajectory",
    "read_trajectories": "formats.reading",
    "write_trajectories": "formats.writing",
    "Forest": "forest.forest",
    "ForestSummary": "forest.summary",
    "Merging": "forest.merging",
    "Tree": "forest.tree",
    "build_forest": "forest.build",
    "merge_forests": "forest.build",
    "open_forest": "forest.build",
    "StepAdvantages": "forest.advantages",
    "advantages": "forest.advantages",
    "PreferencePair": "forest.pairs",
    "PreferencePairs": "forest.pairs",
    "SearchPath": "forest.search",
    "SearchResult": "forest.search",
    "StateGraph": "forest.states",
    "StatePath": "forest.state_paths",
    "preference_dataset": "rows.trl_datasets",
    "sft_dataset": "rows.trl_datasets",
    "preference_rows": "rows.rows",
    "write_rows": "rows.writing",
    "Optimisation": "training.optimisation",
    "train_dpo": "training.train_dpo",
    "train_sft": "training.train_sft",
    "Fitting": "training.fitting",
    "Environment": "environments.protocol",
    "EnvironmentPool": "environments.hosting.pool",
    "EpisodePlan": "rollouts.rollout",
    "Policy": "policies.protocol",
    "Sampling": "policies.protocol",
    "rollout": "rollouts.rollout",
    "evaluate": "evaluation",
    "lint": "linting.lint",
    "Error": "errors",
    "IdenticalTrajectories": "errors",
    "InvalidInput": "errors",
}
"""Each public name and the module it lives in."""

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("w2stree")
    elif name in _HOME:
        value = getattr(_module(_HOME[name], name), name)
    else:
        raise AttributeError(f"module 'w2stree' has no attribute {name!r}")
    globals()[name] = value  # found directly from now on
    return value


def _module(home: str, name: str) -> Any:
    try:
        return importlib.import_module(f"w2stree.{home}")
    except ModuleNotFoundError as error:
        from w2stree.errors import not_imported

        raise not_imported(error, "train", f"w2stree.{name}") from None


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
