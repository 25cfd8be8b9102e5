"""A folder of saved forests as one forest, of which a bucket is opened when it is asked for.

forest["task-3"] ──hash──> bucket 5 ──> bucket=0005/trees.forest, kept until another is opened
forest.summary()           the manifest's numbers
forest.stream_pairs()      bucket after bucket, one in memory
forest.parent, .search()   all of them, merged in memory once
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from w2stree.errors import ForestFileError, InvalidInput
from w2stree.forest.bucket_manifest import BucketManifest
from w2stree.forest.file import read_forest
from w2stree.forest.forest import Forest
from w2stree.forest.growth import merge
from w2stree.forest.merging import Merging
from w2stree.forest.openings import Openings
from w2stree.forest.pairs import PreferencePairs
from w2stree.forest.summary import ForestSummary
from w2stree.forest.task_buckets import bucket_of
from w2stree.forest.tasks import TaskSummary
from w2stree.forest.tree import Tree
from w2stree.shorten import visible
from w2stree.trajectories.returns import ReturnRange, usual_threshold
from w2stree.trajectories.trajectory import Trajectory


class BucketForest(Forest):
    """`open_forest` of a folder of buckets: a `Forest` that stays on disk as far as it can.

    From the manifest alone: `len`, `digest`, `summary`. With one bucket in memory at a time:
    looking up a task (its hash names the bucket), going through tasks or trees, `buckets()`,
    `tasks`, `count_pairs`, `stream_pairs`. All else (arrays by node, `task_ids`, `trajectories`,
    `pairs`, `search`, `states`, `add`, `save`) is of one forest in memory: it merges all buckets
    when it is first asked for, and keeps that.

    Trees and trajectories come bucket after bucket, within one in the order that `build_forest`
    has. Node ids are of the forest that a tree or pairs are of: `tree.forest`, `pairs.forest`.
    """

    __slots__ = ("_folder", "_last", "_manifest", "_merging", "_num_threads")

    def __init__(
        self, folder: Path, merging: Merging | None = None, num_threads: int | None = None
    ) -> None:
        # `Forest.__init__` waits until something that it sets is asked for (`__getattr__`).
        self._folder, self._merging, self._num_threads = folder, merging, num_threads
        self._manifest = BucketManifest.read(folder)
        self._last: tuple[int, Forest] | None = None
        if self._manifest.kind != "forests":
            raise InvalidInput(
                f"{visible(str(folder))}: its buckets hold {self._manifest.kind}, and no forests; "
                "w2stree tree RUNS --engine ray -o DIR makes a folder of these"
            )

    def __getattr__(self, name: str) -> Any:
        """Called for what is not set yet: of a forest all is set at once."""
        if name not in _OF_A_FOREST:
            raise AttributeError(f"a forest has no {name!r}")
        parts = merge(self.buckets(), self._num_threads)
        # A bucket whose runs all ended in an error has no forest to count them.
        super().__init__(replace(parts, num_errors=self._manifest.counts["num_errors"]))
        self._last = None
        return getattr(self, name)

    def buckets(self) -> Iterator[Forest]:
        """The forest of each bucket that has one, in order; none is kept. Raises as
        `open_forest`."""
        return map(self._opened, sorted(self._files()))

    def _files(self) -> dict[int, dict[str, Any]]:
        return {entry["bucket"]: entry for entry in self._manifest.buckets if "file" in entry}

    def _opened(self, bucket: int) -> Forest:
        if self._last is not None and self._last[0] == bucket:
            return self._last[1]
        entry = self._files()[bucket]
        path = self._folder / entry["file"]
        forest = Forest(read_forest(path, self._merging, self._num_threads))
        if (found := forest.digest()) != entry["digest"]:
            raise ForestFileError(
                f"{path}: its digest is {found}, and the manifest beside it says "
                f"{entry['digest']}: make the folder again"
            )
        self._last = (bucket, forest)
        return forest

    def _of(self, task_id: object) -> Forest | None:
        if not isinstance(task_id, str):
            return None
        bucket = bucket_of(task_id, self._manifest.num_buckets)
        return self._opened(bucket) if bucket in self._files() else None

    def __len__(self) -> int:
        return int(self._manifest.counts["num_trees"])

    def __iter__(self) -> Iterator[str]:
        return (task_id for bucket in self.buckets() for task_id in bucket.task_ids)

    def __contains__(self, task_id: object) -> bool:
        forest = self._of(task_id)
        return forest is not None and task_id in forest

    def __getitem__(self, task_id: str) -> Tree:
        if (forest := self._of(task_id)) is None:
            raise KeyError(f"no tree for task {task_id!r}; iterate the forest for its task ids")
        return forest[task_id]

    def __repr__(self) -> str:
        counts = self._manifest.counts
        return (
            f"BucketForest({len(self)} trees, {counts['num_trajectories']} trajectories, "
            f"{counts['num_nodes']} nodes in {len(self._files())} of "
            f"{self._manifest.num_buckets} buckets)"
        )

    def digest(self) -> str:
        """As `Forest.digest`: of all buckets together, from the manifest. Each bucket's own is
        compared with the manifest when it is opened."""
        return self._manifest.digest

    def summary(self) -> ForestSummary:
        """As `Forest.summary`, from the manifest."""
        counts = self._manifest.counts
        return ForestSummary(**{name: counts[name] for name in ForestSummary.__slots__})

    def tasks(
        self, *, min_gap: float = 0.0, success_threshold: float | None = None
    ) -> list[TaskSummary]:
        """As `Forest.tasks`, bucket after bucket: what is a success is decided over all."""
        least, greatest = (self._manifest.counts[n] for n in ("min_return", "max_return"))
        threshold = (
            usual_threshold(min(least, 0.0), max(greatest, 0.0))
            if success_threshold is None
            else success_threshold
        )
        found = [
            task
            for bucket in self.buckets()
            for task in bucket.tasks(min_gap=min_gap, success_threshold=threshold)
        ]
        return found if threshold is not None else [replace(t, num_success=None) for t in found]

    def count_pairs(
        self,
        min_gap: float = 0.0,
        *,
        success_threshold: float | None = None,
        return_range: ReturnRange | None = None,
    ) -> int:
        """As `Forest.count_pairs`, bucket after bucket."""
        return sum(
            bucket.count_pairs(
                min_gap, success_threshold=success_threshold, return_range=return_range
            )
            for bucket in self.buckets()
        )

    def stream_pairs(
        self,
        min_gap: float = 0.0,
        *,
        success_threshold: float | None = None,
        return_range: ReturnRange | None = None,
        chunk_size: int = 65536,
    ) -> Iterator[PreferencePairs]:
        """As `Forest.stream_pairs`, bucket after bucket: a chunk is of one bucket, which is its
        `forest`, and the last one of each may be smaller."""
        for bucket in self.buckets():
            yield from bucket.stream_pairs(
                min_gap,
                success_threshold=success_threshold,
                return_range=return_range,
                chunk_size=chunk_size,
            )

    def with_trajectories(
        self, trajectories: Sequence[Trajectory], *, openings: Openings = "equal"
    ) -> Forest:
        """As `Forest.with_trajectories`, all buckets merged: the trajectories as they were given to
        whoever made the buckets, in that order."""
        num_buckets = self._manifest.num_buckets
        ordered = sorted(_listed(trajectories), key=lambda t: bucket_of(t.task_id, num_buckets))
        return super().with_trajectories(ordered, openings=openings)


_OF_A_FOREST = frozenset(
    {
        *("_columns", "_core", "_tree_ids", "actions", "num_errors", "observations"),
        *("parts", "task_ids"),
    }
)
"""What `Forest.__init__` sets."""


def _listed(trajectories: Iterable[Any]) -> list[Trajectory]:
    found = list(trajectories)
    for i, one in enumerate(found):
        if not isinstance(one, Trajectory):
            raise TypeError(f"trajectories[{i}] is {type(one).__name__}; expected Trajectory")
    return found
