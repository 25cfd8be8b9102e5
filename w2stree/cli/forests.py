"""Runs, or a saved forest, as the forest that a command looks at, by the rule that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from w2stree.cli.choice import chosen_task
from w2stree.cli.given_paths import explored_in
from w2stree.cli.inputs import Runs, Source, by_places, warn_how_read
from w2stree.cli.left_out import ERRED
from w2stree.cli.parameters import number, number_in_0_1
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest
    from w2stree.forest.merging import Merging

_RECOMBINED = "recombine"  # a stage of a run directory

MinSimilarity: TypeAlias = Annotated[
    float | None,
    typer.Option(
        parser=number_in_0_1,
        metavar="XI",
        help="merge observations of at least this cosine, e.g. 0.9",
        show_default=False,
    ),
]
Embed: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="what --min-similarity compares (default: all-MiniLM-L6-v2)",
        show_default=False,
    ),
]
Guard: TypeAlias = Annotated[
    bool, typer.Option(help="keep similar texts apart whose numbers or opposites differ")
]
SuccessAt: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--success-at",
        parser=number(),
        metavar="RETURN",
        help="the return from which on a run is a success (default: 1, if all lie in [0, 1])",
        show_default=False,
    ),
]
MinGap: TypeAlias = Annotated[
    float,
    typer.Option(
        parser=number(),
        metavar="GAP",
        help="count pairs whose returns differ by at least so much",
    ),
]


def rule_of(
    min_similarity: float | None, embed: str | None, normalize: str | None, *, guard: bool
) -> Merging:
    """The options as a rule of merging. Raises `InvalidInput` for a rule that is none."""
    from w2stree.forest.merging import Merging

    if min_similarity is None and (embed is not None or not guard):
        raise InvalidInput("--embed and --no-guard are of similar texts: give --min-similarity")
    return Merging(
        min_similarity=min_similarity,
        embed=None if min_similarity is None else embed or "all-MiniLM-L6-v2",
        normalize_observation=normalize,
        guard="distinctions" if guard else None,
    )


def of_a_run_directory(source: Source) -> tuple[Source, str | None]:
    """The explored runs of a run directory in its place, and where its recombined paths are."""
    path, *others = source.paths or [""]
    if others or (explored := explored_in(path)) == path:
        return source, None
    paths = Path(path) / _RECOMBINED
    is_finished = (paths / "manifest.json").is_file()
    return source.at(explored), str(paths / "trajectories.jsonl") if is_finished else None


def saved_in(source: Source) -> str | None:
    """The path of a saved forest; None where there is none. Raises `InvalidInput` for one beside
    other paths."""
    from w2stree.forest.bucket_manifest import holds_forests
    from w2stree.forest.file import is_forest_file

    saved = [
        path
        for path in source.paths
        if (Path(path).is_file() and is_forest_file(Path(path))) or holds_forests(Path(path))
    ]
    if saved and len(source.paths) > 1:
        raise InvalidInput(
            f"{visible(saved[0])} is a saved forest: look at it alone, or give its runs instead"
        )
    return saved[0] if saved else None


def read_forest(source: Source, rule: Merging, *, task: str | None = None) -> tuple[Forest, Runs]:
    """The forest of all runs at the paths, error rows left out, or the saved one; and the runs in
    it, which of a saved forest have no places. Of the chosen `task` alone, if one is given: a
    saved forest has the others too. Raises `InvalidInput` where no run is left, and for
    a saved forest by another rule or beside other paths."""
    from w2stree.forest.build import build_forest, open_forest

    if (saved := saved_in(source)) is None:
        runs = source.read()
        warn_how_read(runs)
        if task is not None:
            chosen = chosen_task((t.task_id for t in runs.trajectories), task)
            runs = runs.only(lambda t: t.task_id == chosen, "of other tasks")
        finished = runs.finished()
        with by_places(runs):
            return build_forest(
                runs.trajectories,
                merging=rule,
                openings=source.of_a_task,  # errors: it counts them
            ), finished
    where, forest = visible(saved), open_forest(saved)
    if rule != type(rule)() and rule != forest.merging:
        raise InvalidInput(
            f"{where} was merged by another rule, and texts that were merged cannot be "
            "told apart again: build from its trajectories"
        )
    skipped = {ERRED: forest.num_errors} if forest.num_errors else {}
    return forest, Runs(where, forest.trajectories, (), skipped)
