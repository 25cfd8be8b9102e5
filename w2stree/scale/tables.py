"""Tables in, tables or files out, no state: what any engine can call on its shards.

    runs ──shard_table──> runs, bucket ──the engine's shuffle──> all runs of a bucket
                                                                 ├─ forest_shard ──> a file
                                                                 ├─ pairs_table ───> rows
                                                                 ├─ paths_table ───> rows
                                                                 └─ advantages_table

Trees never cross tasks, so a bucket by the task's hash is a forest of its own. A table is
`pyarrow.Table` or `RecordBatch` with the columns of our Parquet files (docs/columns.md), text of
any of Arrow's kinds, other columns beside them; `source` among them is where a run stands, and is
what rows say of it. Every function but `shard_table` needs all runs of each of its tasks.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from w2stree.errors import InvalidInput
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging
from w2stree.forest.openings import Openings
from w2stree.forest.pairs import Strategy
from w2stree.forest.task_buckets import bucket_of, check_num_buckets
from w2stree.formats.agenttraj import learned_turns
from w2stree.rows.columns import AnyRow, Kind
from w2stree.rows.credit import turn_credits
from w2stree.rows.row_table import row_table
from w2stree.rows.rows import Completion, PreferenceRow, PreferenceRows, stream_preference_rows
from w2stree.scale.shard import Shard, shard_of
from w2stree.trajectories.returns import ReturnRange, at_least
from w2stree.trajectories.table_rows import widened
from w2stree.trajectories.tables import pyarrow_for
from w2stree.trajectories.trajectory import Trajectory

BUCKET = "bucket"
SKIPPED = b"w2stree.skipped"
"""In a table's metadata: JSON of how many gave no row, by reason."""
UNLEARNED_TURNS = b"w2stree.unlearned_turns"
"""In the metadata of `paths_table`: how many turns are not to be learned (AgentTraj's `loss:
false`), which messages cannot say."""


def shard_table(table: Any, num_buckets: int) -> Any:
    """The table with a column `bucket` (int32, from 0): the hash of `task_id`, so that all runs of
    a task have one number, on any machine (`w2stree.forest.task_buckets` has the rule).

    All columns are kept, whatever they are; text and lists get offsets of 64 bits, so that the
    runs of a bucket may be one table of more than 2 GiB. Group by it or write by it as a partition:
    never by `task_id`, of which there may be millions. Raises `InvalidInput` where there is no
    `task_id` or where it has nulls. Memory: the table once more where text is widened. O(rows) and
    a hash of 0.3 microseconds a task and batch.
    """
    pa, _ = pyarrow_for("a table of trajectories")
    check_num_buckets(num_buckets)
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if not isinstance(table, pa.Table):
        raise TypeError(f"table is {type(table).__name__}; expected pyarrow.Table or RecordBatch")
    if table.column_names.count("task_id") != 1:
        raise InvalidInput("table: column task_id is not there once; rows are sharded by it")
    if BUCKET in table.column_names:
        table = table.drop_columns([BUCKET])
    buckets = bucket_column(pa, table.column("task_id"), num_buckets)
    return table.cast(widened(pa, table.schema)).append_column(
        pa.field(BUCKET, pa.int32(), nullable=False), buckets
    )


def bucket_column(pa: Any, task_ids: Any, num_buckets: int) -> Any:
    """The bucket of each, each distinct task being hashed once."""
    if task_ids.null_count:
        raise InvalidInput(f"table: column task_id has {task_ids.null_count:,} nulls; fill them")
    encoded = task_ids.combine_chunks() if isinstance(task_ids, pa.ChunkedArray) else task_ids
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    hashed = [bucket_of(task_id, num_buckets) for task_id in encoded.dictionary.to_pylist()]
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    return pa.array(np.array(hashed, np.int32)[indices] if hashed else np.empty(0, np.int32))


def forest_shard(
    table: Any,
    path: str | os.PathLike[str],
    *,
    merging: Merging | None = None,
    openings: Openings = "equal",
) -> Any:
    """Build the forest of a shard and save it at `path`, all or nothing; one row about it.

    The row: `path`, `digest`, `num_trees`, `num_nodes`, `num_trajectories`, `num_errors` (left
    out), `num_repeated` (in the table twice, by seed and sample). Where all runs ended in an error
    no file is written and `digest` is null. The file holds what building from these runs would:
    `open_forest` reads it, `merge_forests` joins shards, `digest_of_shards` their digests.

    Memory: the table, 8 bytes a step, each text of an action or an observation once, and the
    forest: some 40 bytes a node. Nothing is made of each run in Python. O(bytes). Raises as
    `build_forest`.
    """
    pa, _ = pyarrow_for("a table of trajectories")
    shard = shard_of(table)
    forest = shard.forest(merging, openings)
    if forest is not None:
        forest.save(path)
    row = {
        "path": os.fspath(path) if forest is not None else None,
        "digest": forest.digest() if forest is not None else None,
        "num_trees": len(forest) if forest is not None else 0,
        "num_nodes": forest.num_nodes if forest is not None else 0,
        "num_trajectories": len(forest.total_return) if forest is not None else 0,
        "num_errors": shard.num_errors,
        "num_repeated": shard.num_repeated,
    }
    texts = {"path", "digest"}
    types = {name: pa.large_string() if name in texts else pa.int64() for name in row}
    return pa.Table.from_pylist([row], pa.schema(types))


def pairs_table(
    table: Any,
    *,
    completion: Completion = "step",
    min_gap: float = 0.0,
    min_return: float | None = None,
    strategy: Strategy = "all",
    per_divergence: int | None = None,
    max_per_task: int | None = None,
    seed: int | None = None,
    merging: Merging | None = None,
    openings: Openings = "equal",
    trainer: str = "trl",
    render_actions: bool = False,
    tool_calls: bool = False,
) -> Any:
    """Preference rows of a shard (Eq. 6), in a trainer's columns with those beside them
    (docs/rows.md): what `w2stree pairs` writes of these runs.

    `completion`, `render_actions` as in `preference_rows`; the choice of pairs as in
    `Forest.pairs`; `min_return` is the least return of a chosen run. `divergence` is a node of the
    shard's own forest. Rows that read alike are one where their tasks are in one shard: tasks with
    one prompt and several ids may be in several. How many comparisons gave no row, by reason, is in
    the schema's metadata (`w2stree.skipped`). The columns follow from the arguments alone.

    Memory: `forest_shard`'s, 12 bytes a pair, the rows of a block of tasks, and the result.
    Raises as `build_forest`, `Forest.pairs` and `preference_rows` do.
    """
    shard, skipped = shard_of(table), Counter[str]()
    grown = shard.worded_forest(merging, openings, render_actions=render_actions)
    rows: Iterable[AnyRow] = ()
    if grown is not None:
        found = grown.pairs(
            min_gap,
            strategy=strategy,
            per_divergence=per_divergence,
            max_per_task=max_per_task,
            seed=seed,
        )
        if min_return is not None:
            is_enough = np.array([at_least(float(r), min_return) for r in grown.total_return])
            found = found.select(is_enough[found.chosen])
        rows = _preferences(stream_preference_rows(found, completion), skipped)
    return _table(shard, rows, "preference", trainer, tool_calls, skipped)


def paths_table(
    table: Any,
    *,
    all_runs: bool = False,
    min_return: float | None = None,
    return_range: ReturnRange | None = None,
    merging: Merging | None = None,
    openings: Openings = "equal",
    trainer: str = "trl",
    render_actions: bool = False,
    tool_calls: bool = False,
) -> Any:
    """Demonstrations of a shard (Eq. 7): the best run of each task by tree search, or `all_runs`,
    as conversations in a trainer's columns: what `w2stree paths` writes of these runs.

    `return_range` is that of all shards' returns, the same for each: search looks at returns as
    shares of it. None: [0, 1] and what the shard's own returns add to it, so that shards whose
    returns leave [0, 1] are searched by ranges of their own. `min_return`: least return of a run.

    Turns that are not to be learned (AgentTraj's `loss: false`) are in the messages like others;
    how many there are is in the schema's metadata (`w2stree.unlearned_turns`).

    Memory: `forest_shard`'s, 40 bytes a node for the search, and the result. Raises as
    `build_forest` and `Forest.search` do.
    """
    shard, grown = shard_of(table), None
    if not all_runs:
        grown = shard.forest(merging, openings)
    chosen = range(shard.num_played) if grown is None else _best(grown, return_range)
    runs = shard.runs(chosen, render_actions=render_actions)
    if min_return is not None:
        runs = (run for run in runs if at_least(run.total_return, min_return))
    unlearned = Counter[bytes]()
    made = _table(shard, _noting(runs, unlearned), "messages", trainer, tool_calls, Counter())
    told = {UNLEARNED_TURNS: str(unlearned[UNLEARNED_TURNS]).encode()}
    return made.replace_schema_metadata(made.schema.metadata | told)


def advantages_table(
    table: Any,
    *,
    scale: bool = False,
    merging: Merging | None = None,
    openings: Openings = "equal",
    trainer: str = "trl",
    render_actions: bool = False,
    tool_calls: bool = False,
) -> Any:
    """The credit of each turn of a shard's runs, a row a turn, by three baselines
    (`w2stree.advantages`): what `w2stree advantages` writes of these runs.

    `run` and `node` are of the shard's own forest. Memory: `forest_shard`'s, 100 bytes a step, and
    the result, which repeats each turn's history. Raises as `build_forest` does.
    """
    shard = shard_of(table)
    grown = shard.worded_forest(merging, openings, render_actions=render_actions)
    rows: Iterable[AnyRow] = () if grown is None else turn_credits(grown, scale=scale)
    return _table(shard, rows, "advantage", trainer, tool_calls, Counter())


def _best(forest: Forest, return_range: ReturnRange | None) -> list[int]:
    """The best run of each task, in the order of the runs."""
    if return_range is None:
        returns = forest.total_return
        return_range = (float(returns.min(initial=0.0)), float(returns.max(initial=1.0)))
    found = forest.search(return_range=return_range).best_trajectory
    return sorted(found[found >= 0].tolist())


def _noting(runs: Iterable[Trajectory], unlearned: Counter[bytes]) -> Iterator[Trajectory]:
    for run in runs:
        flags = learned_turns([run])
        unlearned[UNLEARNED_TURNS] += flags[0].count(False) if flags else 0
        yield run


def _preferences(
    blocks: Iterable[PreferenceRows], skipped: Counter[str]
) -> Iterator[PreferenceRow]:
    for block in blocks:
        skipped.update(block.left_out)
        yield from block


def _table(
    shard: Shard,
    rows: Iterable[AnyRow],
    kind: Kind,
    trainer: str,
    tool_calls: bool,
    skipped: Counter[str],
) -> Any:
    made = row_table(
        rows,
        kind,
        trainer=trainer,
        tool_calls=tool_calls,
        sources=shard.sources,
        skipped=skipped,
    )
    told = json.dumps({reason: count for reason, count in skipped.items() if count})
    return made.replace_schema_metadata({SKIPPED: told.encode()})
