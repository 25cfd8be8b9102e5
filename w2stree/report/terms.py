"""The forest's statistics for a reader: what each is called, what it means, how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Term:
    """A forest statistic: its key in `Report.forest`, its name and meaning for a reader."""

    key: str
    name: str
    meaning: str
    kind: Literal["count", "share", "mean", "reward"]


FOREST_TERMS = (
    Term("num_trees", "Tasks explored", "Each has a tree of its own.", "count"),
    Term("num_trajectories", "Runs", "Finished episodes of the weak model on them.", "count"),
    Term("num_errors", "Runs left out", "Ended in an error, so they say nothing.", "count"),
    Term(
        "distinct_share",
        "Distinct runs",
        "Different sequences of actions and answers, of all runs; low: sampling repeats itself.",
        "share",
    ),
    Term(
        "merge_rate",
        "Merge rate",
        "Steps that retrace a step of an earlier run of the task and so share its node.",
        "share",
    ),
    Term(
        "mean_branching",
        "Branching",
        "Ways onward at a node that has more than one, on average.",
        "mean",
    ),
    Term(
        "num_decision_divergences",
        "Decision divergences",
        "Points where runs with the same history chose different actions.",
        "count",
    ),
    Term(
        "num_informative_divergences",
        "Informative divergences",
        "Those whose choices ended in different returns: here preferences can be learned.",
        "count",
    ),
    Term(
        "num_environment_divergences",
        "Environment divergences",
        "Points where one action got different answers: luck, so no preference is drawn.",
        "count",
    ),
    Term(
        "num_pairs",
        "Preference pairs",
        "Two runs that part at a divergence and end with different returns.",
        "count",
    ),
    Term(
        "num_preference_rows",
        "Preference rows",
        "Distinct training rows (history, better, worse) that the pairs give.",
        "count",
    ),
    Term(
        "mean_return",
        "Mean return of exploration",
        "Over all runs: how well the weak model plays while it explores.",
        "reward",
    ),
    Term(
        "best_path_mean_return",
        "Mean return of best paths",
        "Over the one path a task that the tree search keeps.",
        "reward",
    ),
    Term(
        "num_best_paths_below_best_run",
        "Best path not the best run",
        "Tasks in which a run scored higher than the path that the search keeps.",
        "count",
    ),
    Term(
        "num_kept_paths",
        "Paths kept for MCTS-SFT",
        "Best paths of at least the return asked for (mcts_sft.min_return); each is a run.",
        "count",
    ),
    Term(
        "num_kept_failures",
        "Failures among them",
        "Kept paths that do not succeed: what MCTS-SFT learns of failed runs.",
        "count",
    ),
)
