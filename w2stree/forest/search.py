"""Tree search (Eq. 7), offline on the frozen forest, and the best paths of each tree.

arms of a node, in order:   STOP (where trajectories end), child, child, …
their scores:               r/c                            r/c + bonus of what is not known yet
a descent:                  root ─ argmax ─ argmax ─ … ─ STOP or a leaf
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.forest.arguments import finite, int64
from w2stree.forest.columns import Columns
from w2stree.forest.in_process import InProcess
from w2stree.forest.ranges import check_range_of
from w2stree.forest.threads import num_threads_or_all
from w2stree.trajectories.returns import UNIT, ReturnRange
from w2stree.trajectories.trajectory import Trajectory

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

Backup = Literal["mean", "max"]


@dataclass(frozen=True, slots=True)
class SearchPath:
    """One of a tree's best paths: an ending, and the trajectory that stands for it."""

    trajectory: Trajectory
    """Of those that end there the one of greatest return, ties to the first."""
    end_node: int
    value: float
    """Mean return of the trajectories that end there."""
    visit_count: int
    """Descents that ended there."""


class SearchResult(InProcess):
    """Best paths by tree, and search statistics by node; arrays are read-only.

    A descent visits every node from the root to where it ends, both included, so
    `visit_count[n]` is `stop_visit_count[n]` plus the children's counts. Arrays by node are
    written out on first use, 8 bytes a node, and kept.
    """

    __slots__ = ("_columns", "_core", "forest", "return_range")

    def __init__(
        self, forest: Forest, core: _core.SearchResult, return_range: ReturnRange = UNIT
    ) -> None:
        self._core = core
        self._columns = Columns(lambda name: getattr(core, name)(forest.core))
        self.forest = forest
        self.return_range = return_range
        """What returns were taken to lie in."""

    @property
    def core(self) -> _core.SearchResult:
        """The core's result, to continue from."""
        return self._core

    @property
    def visit_count(self) -> NDArray[np.int64]:
        """`[num_nodes]` c of Eq. 7."""
        return self._columns["node_visit_count"]

    @property
    def value_sum(self) -> NDArray[np.float64]:
        """`[num_nodes]` r of Eq. 7: values backed up, summed in the order of the descents."""
        return self._columns["node_value_sum"]

    @property
    def value_max(self) -> NDArray[np.float64]:
        """`[num_nodes]` greatest value backed up; -inf where no descent came."""
        return self._columns["node_value_max"]

    @property
    def stop_visit_count(self) -> NDArray[np.int64]:
        """`[num_nodes]` descents that ended at the node."""
        return self._columns["node_stop_visit_count"]

    @property
    def stop_value_sum(self) -> NDArray[np.float64]:
        """`[num_nodes]` values of those descents."""
        return self._columns["node_stop_value_sum"]

    @property
    def num_simulations(self) -> NDArray[np.int64]:
        """`[num_trees]` descents made, those of the results continued included."""
        return self._core.num_simulations

    @property
    def best_end_node(self) -> NDArray[np.int32]:
        """`[num_trees]` node where the greedy path ends."""
        return self._columns["best_end_node"]

    @property
    def best_trajectory(self) -> NDArray[np.int32]:
        """`[num_trees]` index of the trajectory that ends there with the greatest return; of
        several the first. -1 for a tree without trajectories."""
        return self._core.best_trajectory

    @property
    def path_tree(self) -> NDArray[np.int32]:
        """`[number of paths]` tree of each path: trees in order, a tree's best path first."""
        return self._core.path_tree

    @property
    def path_end_node(self) -> NDArray[np.int32]:
        """`[number of paths]` node where it ends."""
        return self._columns["path_end_node"]

    @property
    def path_trajectory(self) -> NDArray[np.int32]:
        """`[number of paths]` index of the trajectory that ends there with the greatest return; of
        several the first."""
        return self._core.path_trajectory

    @property
    def path_value(self) -> NDArray[np.float64]:
        """`[number of paths]` mean return of the trajectories that end there."""
        return self._core.path_value

    @property
    def path_visit_count(self) -> NDArray[np.int64]:
        """`[number of paths]` descents that ended there."""
        return self._core.path_visit_count

    @property
    def num_exact_checks(self) -> int:
        """How many decisions were too close for fast arithmetic and took the score as defined.
        Says nothing about the result."""
        return self._core.num_exact_checks

    def best_trajectories(self) -> list[Trajectory]:
        """The best path of each tree, in tree order, as the trajectory that took it. A tree without
        trajectories (`build_forest_from_ids`) has none."""
        trajectories = self.forest.trajectories
        return [trajectories[i] for i in self.best_trajectory.tolist() if i >= 0]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The arrays by node as an Arrow stream, nothing copied: `pyarrow.table(result)`."""
        columns = ("visit_count", "value_sum", "stop_visit_count", "stop_value_sum")
        return _core.export_arrow({name: getattr(self, name) for name in columns})

    def paths(self) -> list[list[SearchPath]]:
        """The best paths of each tree, the best first: `num_paths` of them, or as many as there
        are endings that a descent reached."""
        paths: list[list[SearchPath]] = [[] for _ in range(len(self.forest))]
        columns = (self.path_trajectory, self.path_end_node, self.path_value, self.path_visit_count)
        for tree_id, *path in zip(self.path_tree, *(c.tolist() for c in columns), strict=True):
            trajectory, end_node, value, visit_count = path
            paths[tree_id].append(
                SearchPath(self.forest.trajectories[trajectory], end_node, value, visit_count)
            )
        return paths

    def __repr__(self) -> str:
        return f"SearchResult({len(self.forest)} trees, {self.forest.num_nodes} nodes)"


def search(
    forest: Forest,
    *,
    num_simulations: int = 1000,
    exploration: float = 1.41,
    return_range: ReturnRange | None = None,
    stop_arm: bool = True,
    backup: Backup = "mean",
    min_visits: int = 0,
    num_paths: int = 1,
    patience: int | None = None,
    resume: SearchResult | None = None,
    num_threads: int | None = None,
) -> SearchResult:
    """Run `num_simulations` descents on each tree and extract its best paths.

    A descent takes `argmax r/c + exploration * sqrt(log(C + 1e-12) / c)` over the arms of each
    node: c visits and value r of the arm, C visits of all arms together; an arm never visited
    comes first, ties go to the first arm. The value of an ending is the mean return of the
    trajectories that end exactly there. Then the best path takes `argmax r/c`, over visited arms.
    The logarithm is rounded correctly and the rest are IEEE doubles, so every machine takes the
    same descents.

    A node where trajectories end while others go on has an arm STOP before its children. Every
    descent that takes STOP brings the same mean return, so one visit tells all of it: its score is
    r/c without the bonus of what is to be explored. (With the bonus, STOP would take half of the
    descents wherever nothing below is better yet, and n runs of which each is a prefix of the next
    would need 2^n descents to be found; so they take about n.) `stop_arm=False` drops it and
    equals the authors' published demo, which never scores such endings. (To the bit where the
    demo's `math.log` rounds correctly: glibc's is one ulp off for about one count in 60,000,
    which shows only if two scores are that close.) Trees whose trajectories all end at leaves
    have no STOP: there it is Eq. 7 alone.

    return_range: the least and the greatest return, (0, 1) unless stated. The bonus is scaled by
        their difference, so that `exploration` means the same on every scale.
    backup: "max" puts the greatest value backed up through an arm in place of r/c.
    min_visits: the best path sets arms with fewer visits aside, unless all have fewer; STOP
        needs one.
    num_paths: extract that many paths a tree, to different endings: after the best the one found
        likewise among arms that lead to an ending reached but not taken yet. Fewer when there
        are fewer.
    patience: look at the best path every so many descents, and stop searching a tree when it
        ends where it did at the look before; `num_simulations` is then a maximum.
    resume: continue from this result of the same forest. With equal options, 400 descents and
        600 more are the same as 1,000, bit for bit.

    Results never depend on `num_threads` (None: the available cores).

    Raises `InvalidInput` for a return outside the range, naming its trajectory; unless
    num_simulations, num_paths, patience and num_threads are >= 1, min_visits >= 0, exploration
    finite and >= 0, and resume of this forest and of equal exploration, return_range, stop_arm and
    backup. O(num_simulations x branching nodes on the path) a tree;
    decisions among hundreds of arms cost more, O(arms).
    """
    if backup not in get_args(Backup):
        raise InvalidInput(f"backup={backup!r}; expected 'mean' or 'max'")
    if not isinstance(stop_arm, bool):
        raise InvalidInput(f"stop_arm={stop_arm!r}; expected True or False")
    if resume is not None and not isinstance(resume, SearchResult):
        raise InvalidInput(f"resume is {type(resume).__name__}; expected a SearchResult")
    if resume is not None and resume.forest is not forest:
        raise InvalidInput("resume is the result of another forest")
    low, high = check_range_of(forest, return_range)
    if resume is not None and resume.return_range != (low, high):
        raise InvalidInput(
            f"return_range={(low, high)}; resume was searched with {resume.return_range}"
        )
    core = _core.search(
        forest.core,
        num_simulations=int64("num_simulations", num_simulations),
        exploration=finite("exploration", exploration),
        return_scale=high - low,
        stop_arm=stop_arm,
        backup=backup,
        min_visits=int64("min_visits", min_visits),
        num_paths=int64("num_paths", num_paths),
        patience=None if patience is None else int64("patience", patience),
        resume=None if resume is None else resume.core,
        num_threads=num_threads_or_all(num_threads),
    )
    return SearchResult(forest, core, (low, high))
