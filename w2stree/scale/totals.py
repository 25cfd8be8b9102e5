"""The buckets' records added up: what one process would have said of all runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from w2stree.forest.shard_digest import ShardDigest, digest_of_shards
from w2stree.forest.tasks import Outcomes
from w2stree.scale.row_digest import sum_of_digests
from w2stree.trajectories.returns import ReturnRange

Record = dict[str, Any]

_SUMMED = ("num_runs", "num_errors", "num_repeated", "num_rows", "num_unlearned_turns")


def totals(kind: str, records: Sequence[Record], span: ReturnRange) -> tuple[str, Record]:
    """The digest of everything and the counts, by the `kind` of what was made."""
    counts = {
        name: sum(record[name] for record in records)
        for name in _SUMMED
        if any(name in record for record in records)
    }
    if kind == "forests":
        of_forests = [record for record in records if "forest" in record]
        digest = digest_of_shards(
            ShardDigest(
                record["digest"],
                *(record["forest"][n] for n in ("num_trees", "num_nodes", "num_trajectories")),
            )
            for record in of_forests
        )
        summary = _summary([record["forest"] for record in of_forests], counts["num_errors"])
        return digest, {**counts, **summary, "min_return": span[0], "max_return": span[1]}
    skipped: Counter[str] = Counter()
    for record in records:
        skipped.update(record.get("skipped", {}))
    if kind in ("pairs", "paths"):
        counts["skipped"] = dict(skipped)
    return sum_of_digests(record["digest"] for record in records if "digest" in record), counts


def _summary(parts: Sequence[Record], num_errors: int) -> Record:
    """The fields of `ForestSummary` of all trees."""
    names = (
        *("num_trees", "num_trajectories", "num_steps", "num_unparsed", "num_nodes"),
        *("num_decision_divergences", "num_environment_divergences"),
        *("num_informative_divergences", "num_pairs"),
    )
    found: Record = {name: sum(part[name] for part in parts) for name in names}
    distinct, branching, branches = (
        sum(part[name] for part in parts)
        for name in ("num_distinct", "num_branching", "num_branches")
    )
    num_steps, num_trees = found["num_steps"], found["num_trees"]
    return {
        **found,
        "num_errors": num_errors,
        "merge_rate": 1 - (found["num_nodes"] - num_trees) / num_steps if num_steps else 0.0,
        "distinct_share": distinct / max(found["num_trajectories"], 1),
        "mean_branching": branches / branching if branching else 0.0,
    }


def outcomes_of_all(parts: Sequence[Record]) -> Outcomes:
    """`forest.tasks.outcomes_of` over the tasks of all buckets; the mean is of sums by bucket, and
    may differ in its last digit."""
    found = [dict(part) for part in parts]
    by_pairs: Counter[int] = Counter()
    for part in found:
        by_pairs.update(dict(part.pop("tasks_by_pairs")))
    num_runs = sum(part["num_runs"] for part in found)
    sums = [p["mean_return"] * p["num_runs"] for p in found if p["mean_return"] is not None]
    return Outcomes(
        **{
            name: _sum(part[name] for part in found)
            for name in (
                *("num_tasks", "num_runs", "num_success", "num_all_fail", "num_all_succeed"),
                *("num_mixed", "num_tasks_with_pairs"),
            )
        },
        mean_return=math.fsum(sums) / num_runs if num_runs else None,
        min_return=min((p["min_return"] for p in found if p["num_runs"]), default=None),
        max_return=max((p["max_return"] for p in found if p["num_runs"]), default=None),
        num_tasks_with_half_of_pairs=_fewest_with_half(by_pairs),
    )


def _sum(values: Iterable[int | None]) -> Any:
    """None where one is not known."""
    found = list(values)
    return None if None in found else sum(v or 0 for v in found)


def _fewest_with_half(by_pairs: Counter[int]) -> int:
    """Of the tasks with most pairs, how many have half of all."""
    total = sum(pairs * tasks for pairs, tasks in by_pairs.items())
    needed, fewest = -(-total // 2), 0
    for pairs, tasks in sorted(by_pairs.items(), reverse=True):
        if needed <= 0:
            break
        taken = min(tasks, -(-needed // pairs))
        fewest, needed = fewest + taken, needed - taken * pairs
    return fewest
