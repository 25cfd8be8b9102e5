"""What is made of each bucket: forests, pairs, paths, runs of another format.

bucket's runs ──job.make(table, folder, span)──> bucket=0007/FILE, and a record of what it holds

A job is data: its fields are what was asked for, and go into the manifest.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from w2stree import _core
from w2stree.forest.bucket_manifest import FOREST_FILE
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging
from w2stree.forest.openings import Openings
from w2stree.forest.pairs import Strategy
from w2stree.forest.tasks import outcomes_of
from w2stree.formats.writing import write_trajectories
from w2stree.rows.presets import preset_of
from w2stree.rows.rows import Completion
from w2stree.scale.row_digest import digest_of_json, digest_of_rows
from w2stree.scale.shard import Shard, shard_of
from w2stree.scale.tables import SKIPPED, UNLEARNED_TURNS, pairs_table, paths_table
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.returns import ReturnRange, usual_threshold
from w2stree.trajectories.tables import pyarrow_for

Record = dict[str, Any]

ROWS_FILE = "rows.parquet"


class Job(Protocol):
    """What is made of a bucket."""

    @property
    def kind(self) -> str: ...

    def settings(self) -> Record:
        """What was asked for, as JSON."""
        ...

    def make(self, table: Any, folder: Path, span: ReturnRange) -> Record:
        """Writes what is made of the bucket's runs into the folder, which is there. `span`: the
        least and the greatest return of all buckets' runs. The record has `file` (its name, unless
        there is none), `digest` and `num_…`; it is JSON."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Forests:
    """`w2stree tree`."""

    normalize: str | None = None
    openings: Openings = "equal"
    success_at: float | None = None
    kind: Literal["forests"] = "forests"

    def settings(self) -> Record:
        return asdict(self)

    def make(self, table: Any, folder: Path, span: ReturnRange) -> Record:
        shard = shard_of(table)
        forest = shard.forest(Merging(normalize_observation=self.normalize), self.openings)
        record = counts_of(shard)
        if forest is None:
            return record
        forest.save(folder / FOREST_FILE)
        return {
            **record,
            "file": FOREST_FILE,
            "digest": forest.digest(),
            "forest": _of_forest(forest),
            "outcomes": self._outcomes(forest, span),
        }

    def _outcomes(self, forest: Forest, span: ReturnRange) -> Record:
        """With what is a success decided over all buckets, and how many tasks have how many
        pairs."""
        threshold = self.success_at
        if threshold is None:
            threshold = usual_threshold(min(0.0, span[0]), max(0.0, span[1]))
        tasks = forest.tasks(success_threshold=threshold)
        if threshold is None:
            tasks = [replace(task, num_success=None) for task in tasks]
        num_pairs = Counter(task.num_pairs for task in tasks)
        return {**asdict(outcomes_of(tasks)), "tasks_by_pairs": sorted(num_pairs.items())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """`w2stree pairs`."""

    trainer: str = "trl"
    completion: Completion = "step"
    min_gap: float = 0.0
    min_return: float | None = None
    strategy: Strategy = "all"
    per_divergence: int | None = None
    max_per_task: int | None = None
    seed: int = 0
    normalize: str | None = None
    openings: Openings = "equal"
    render_actions: bool = False
    tool_calls: bool = False
    kind: Literal["pairs"] = "pairs"

    def settings(self) -> Record:
        return asdict(self)

    def make(self, table: Any, folder: Path, span: ReturnRange) -> Record:
        given = _without(self, "kind", "normalize")
        rows = pairs_table(table, merging=Merging(normalize_observation=self.normalize), **given)
        return {**_rows(rows, folder), **counts_of(shard := shard_of(table)), **_asked(shard)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """`w2stree paths`."""

    trainer: str = "trl"
    all_runs: bool = False
    min_return: float | None = None
    normalize: str | None = None
    openings: Openings = "equal"
    render_actions: bool = False
    tool_calls: bool = False
    kind: Literal["paths"] = "paths"

    def settings(self) -> Record:
        return asdict(self)

    def make(self, table: Any, folder: Path, span: ReturnRange) -> Record:
        given = _without(self, "kind", "normalize")
        rows = paths_table(
            table,
            merging=Merging(normalize_observation=self.normalize),
            return_range=(min(0.0, span[0]), max(1.0, span[1])),
            **given,
        )
        unlearned = int(rows.schema.metadata[UNLEARNED_TURNS])
        counts = counts_of(shard_of(table))
        return {**_rows(rows, folder), **counts, "num_unlearned_turns": unlearned}


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """`w2stree convert`: error rows too."""

    to: str = "w2stree"
    kind: Literal["runs"] = "runs"

    def settings(self) -> Record:
        return asdict(self)

    def make(self, table: Any, folder: Path, span: ReturnRange) -> Record:
        shard = shard_of(table)
        name = "runs.parquet" if self.to == "w2stree" else "runs.jsonl"
        write_trajectories(folder / name, shard.records, format=self.to)
        texts = (run.to_json() for run in shard.records)
        return {**counts_of(shard), "file": name, "digest": digest_of_json(texts)}


def _without(job: Any, *names: str) -> Record:
    return {name: value for name, value in asdict(job).items() if name not in names}


def counts_of(shard: Shard) -> Record:
    return {
        "num_runs": len(shard.records),
        "num_errors": shard.num_errors,
        "num_repeated": shard.num_repeated,
    }


def _rows(rows: Any, folder: Path) -> Record:
    """Writes them, as texts that any reader of Parquet takes: the table's own schema, with its
    offsets of 64 bits, is left out of the file."""
    skipped = json.loads(rows.schema.metadata[SKIPPED])
    if not rows.num_rows:
        return {"num_rows": 0, "skipped": skipped, "digest": digest_of_rows(rows)}
    _, pq = pyarrow_for(ROWS_FILE)
    with replacing(folder / ROWS_FILE, "wb") as file:
        pq.write_table(rows.replace_schema_metadata(), file, compression="zstd", store_schema=False)
    return {
        "file": ROWS_FILE,
        "num_rows": rows.num_rows,
        "skipped": skipped,
        "digest": digest_of_rows(rows),
    }


def _asked(shard: Shard) -> Record:
    """A hash of each prompt: tasks with one prompt whose ids differ are one task to whoever reads
    rows, and may be in several buckets."""
    prompts = {run.prompt for run in shard.records.played}
    texts = (json.dumps([[m.role, m.content] for m in prompt]) for prompt in prompts)
    return {"prompts": sorted(_core.xxh64(text.encode("ascii")) for text in texts)}


def _of_forest(forest: Forest) -> Record:
    """Its summary, and the sums that the summary of several is made of."""
    branching = forest.num_children[forest.num_children >= 2]
    summary = {**asdict(forest.summary()), "num_errors": 0}
    return {
        **summary,
        "num_distinct": int(np.count_nonzero(forest.num_terminal)),
        "num_branching": int(branching.size),
        "num_branches": int(branching.sum()),
    }


def check(job: Pairs | Paths) -> None:
    """Raises `InvalidInput` before anything is read, where the trainer reads no such rows."""
    trainer = preset_of(job.trainer)
    trainer.layout("preference" if job.kind == "pairs" else "messages")
    trainer.check_ending(ROWS_FILE)
