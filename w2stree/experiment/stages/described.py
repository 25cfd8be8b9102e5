"""What methods find in the forest: figures of the report, and of no stage that others read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.method import Explored, Method
from w2stree.experiment.run_json import read_json
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.tree import FIGURES


def forest_figures(context: Context, methods: Sequence[Method]) -> dict[str, Any]:
    """The figures of the stage `tree`, then those of each of the methods that describes the forest.

    Raises `InvalidInput` where two give a figure one name.
    """
    kept = read_json(context.folder("tree") / "forest.json")
    # Versions before kept the methods' figures there too.
    figures = {name: value for name, value in kept.items() if name in FIGURES}
    config = context.config
    explored = Explored(context.forest(), context.best_paths(), config.evaluate.success_threshold)
    for method in methods:
        if method.describe is not None:
            settings, seed = config.settings(method), context.seed(method.name)
            own = method.describe(explored, section=settings, seed=seed)
            if taken := sorted(own.keys() & figures):
                raise InvalidInput(
                    f"{method.name} describes the forest by {taken[0]!r}, which is taken; "
                    "give its figure a name of its own"
                )
            figures.update(own)
    return figures
