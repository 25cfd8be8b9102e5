"""Counting: what one run's episodes come to, and what several seeds of several methods do."""

from w2stree.evaluation.contest import Contest, compared, contest
from w2stree.evaluation.crossed import (
    CrossedEstimate,
    GapRecovered,
    crossed_estimate,
    gap_recovered,
    resampled_means,
)
from w2stree.evaluation.holm import holm
from w2stree.evaluation.metrics import (
    Estimate,
    Evaluation,
    MethodResult,
    bootstrap,
    compare,
    evaluate,
    performance_gap_recovered,
    returns_by_task,
    successes_by_task,
)
from w2stree.evaluation.seeds import SeedMean, seed_mean

__all__ = [
    "Contest",
    "CrossedEstimate",
    "Estimate",
    "Evaluation",
    "GapRecovered",
    "MethodResult",
    "SeedMean",
    "bootstrap",
    "compare",
    "compared",
    "contest",
    "crossed_estimate",
    "evaluate",
    "gap_recovered",
    "holm",
    "performance_gap_recovered",
    "resampled_means",
    "returns_by_task",
    "seed_mean",
    "successes_by_task",
]
