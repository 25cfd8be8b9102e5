"""States: nodes of a tree that the caller calls by one key, and the graph they make.

    run 0   take key ─ open door ─ go            0 ─ take key ─> 1 ─ open door ─> 2 ─ go ─> 3
    run 1   look ─ take key                       └─ look ─> 4 ─ take key ─> 1

In the forest a path is always one run. In the graph a path may join pieces of several, and takes no
state twice, so that what a run did in vain is cut. Whether the pieces fit is what the keys claim:
two histories with one key must go on alike. Play a path before you believe it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.errors import InvalidInput
from w2stree.forest.arguments import finite, whole
from w2stree.forest.in_process import InProcess
from w2stree.forest.state_keys import StateKeys, key_ids
from w2stree.forest.state_paths import StatePath, StatePaths
from w2stree.forest.threads import num_threads_or_all

if TYPE_CHECKING:
    from w2stree.forest.forest import Forest

StateValue = Literal["best", "mean"]
Ids = Sequence[int] | NDArray[np.integer[Any]]


class StateGraph(InProcess):
    """States and the steps between them, as read-only columns; make one with `Forest.states`.

    States of a tree follow one another, by their first node, so a tree's first state is its root's;
    trees share none. Edges go by source, then action id, then target. Columns that the core does
    not hold are made on first use and kept.
    """

    __slots__ = ("_core", "_made", "forest", "value")

    def __init__(self, forest: Forest, core: _core.StateGraph, value: NDArray[np.float64]) -> None:
        self._core = core
        self._made: dict[str, NDArray[Any]] = {}
        self.forest = forest
        self.value = value
        """`[num_states]` what ending there is worth; NaN where that is not known."""

    @property
    def num_states(self) -> int:
        """States of all trees."""
        return self._core.num_states

    @property
    def num_edges(self) -> int:
        """Distinct (source, action, target)."""
        return self._core.num_edges

    # By node of the forest ------------------------------------------------------------------------

    @property
    def node_state(self) -> NDArray[np.int32]:
        """`[num_nodes]` state of each node."""
        return self._core.node_state

    @property
    def node_edge(self) -> NDArray[np.int32]:
        """`[num_nodes]` the edge that the step into the node is; -1 at roots. Of all steps:
        `node_edge[forest.step_node]`."""
        return self._core.node_edge

    @property
    def previous_visit(self) -> NDArray[np.int32]:
        """`[num_nodes]` the last node before it on the path from the root that is the same state;
        -1 where there is none. The steps between the two led nowhere."""
        return self._kept("previous_visit", self._make_previous_visit)

    # By tree and by state -------------------------------------------------------------------------

    @property
    def root_state(self) -> NDArray[np.int32]:
        """`[num_trees]` state of each root. Those of tree t are `root_state[t]` up to, without it,
        `root_state[t + 1]` (`num_states` for the last)."""
        return self._core.first_state[:-1]

    @property
    def tree_id(self) -> NDArray[np.int32]:
        """`[num_states]` tree of each state."""
        return self._kept("tree_id", self._make_tree_id)

    def tree_of(self, state: int) -> int:
        """The tree of a state. O(log num_trees)."""
        return int(self._core.first_state.searchsorted(state, side="right")) - 1

    @property
    def first_visit(self) -> NDArray[np.int32]:
        """`[num_states]` lowest node of each state: what was observed there, as one example."""
        return self._kept("first_visit", self._make_first_visit)

    @property
    def first_edge(self) -> NDArray[np.int32]:
        """`[num_states + 1]` edges out of state s are `[first_edge[s], first_edge[s + 1])`."""
        return self._core.first_edge

    # By edge --------------------------------------------------------------------------------------

    @property
    def source(self) -> NDArray[np.int32]:
        """`[num_edges]` state it leads out of."""
        return self._kept("source", self._make_source)

    @property
    def action_id(self) -> NDArray[np.int32]:
        """`[num_edges]` action; `forest.actions` has the texts."""
        return self._core.action_id

    @property
    def target(self) -> NDArray[np.int32]:
        """`[num_edges]` state it leads to."""
        return self._core.target

    @property
    def first_node(self) -> NDArray[np.int32]:
        """`[num_edges]` lowest node whose step it is; `forest.observation_id` of it is what the
        environment answered then."""
        return self._core.first_node

    @property
    def first_trajectory(self) -> NDArray[np.int32]:
        """`[num_edges]` first trajectory, in input order, that took it."""
        return self._core.first_trajectory

    @property
    def count(self) -> NDArray[np.int64]:
        """`[num_edges]` how often it was taken: twice by a trajectory that took it twice."""
        return self._core.count

    @property
    def share(self) -> NDArray[np.float64]:
        """`[num_edges]` of the times that its action was taken in its source, how many led to its
        target: 1 where all did. Less says that the keys are too coarse or the environment left it
        to chance."""
        return self._kept("share", self._make_share)

    @property
    def num_disagreements(self) -> int:
        """How many (state, action) led to several states."""
        is_first = np.diff(self._action_of_edge(), prepend=-1) > 0
        return int((is_first & (self.share < 1)).sum())

    @property
    def mean_reward(self) -> NDArray[np.float64]:
        """`[num_edges]` mean of what steps along it were paid (`Step.reward`), over those where it
        was recorded, in input order; NaN where it was for none. O(steps), of Python's."""
        return self._kept("mean_reward", self._make_mean_reward)

    # Paths ----------------------------------------------------------------------------------------

    def best_path(self, task_id: str, *, without: Ids = ()) -> StatePath | None:
        """`best_paths` of one tree. Raises `KeyError` for a task that has none."""
        return self.best_paths(start=[self._root_of(task_id)], without=without)[0]

    def shortest_path(
        self, task_id: str, threshold: float, *, without: Ids = ()
    ) -> StatePath | None:
        """`shortest_paths` of one tree. Raises `KeyError` for a task that has none."""
        start = [self._root_of(task_id)]
        return self.shortest_paths(threshold, start=start, without=without)[0]

    def best_paths(
        self, *, start: Ids | None = None, without: Ids = (), num_threads: int | None = None
    ) -> StatePaths:
        """From each start (None: the root of each tree) the path to the state of greatest value
        that can be reached; of those equal but for rounding the nearest, of these the one of lowest
        id. Of equally short paths the one whose edges come first: the lowest first edge, then the
        lowest second one, and so on. No path (None) where no state with a value can be reached.

        start: states, to go on from where an agent stands. `StatePath.trajectory` is then one that
            ended by exactly these steps, from anywhere on; from a root's state it is the whole run.
        without: edges that no path takes, for example those that playing has refuted.

        The result does not depend on `num_threads` (None: the available cores). Raises
        `InvalidInput` naming the first start or edge that there is not. O(nodes + edges of the
        tree) a start.
        """
        return self._paths(None, start, without, num_threads)

    def shortest_paths(
        self,
        threshold: float,
        *,
        start: Ids | None = None,
        without: Ids = (),
        num_threads: int | None = None,
    ) -> StatePaths:
        """From each start the path to the nearest goal, a state whose value is at least `threshold`
        (equal but for rounding is equal); of equally near ones the one of lowest id. All else as
        `best_paths`. Raises `InvalidInput` for a threshold that is no finite number, too."""
        return self._paths(finite("threshold", threshold), start, without, num_threads)

    def distance_to_goal(
        self, threshold: float, *, without: Ids = (), num_threads: int | None = None
    ) -> NDArray[np.int32]:
        """`[num_states]` steps from each state to the nearest goal (`shortest_paths`), 0 for goals;
        -1 where none can be reached. Raises as `shortest_paths`. O(states + edges)."""
        return _core.distance_to_goal(
            self._core,
            self.value,
            finite("threshold", threshold),
            _ids("without", without, self.num_edges),
            num_threads_or_all(num_threads),
        )

    def __repr__(self) -> str:
        return (
            f"StateGraph({self.num_states} states of {self.forest.num_nodes} nodes, "
            f"{self.num_edges} edges, {self.num_disagreements} disagreements)"
        )

    def _paths(
        self, threshold: float | None, start: Ids | None, without: Ids, num_threads: int | None
    ) -> StatePaths:
        starts = self.root_state if start is None else _ids("start", start, self.num_states)
        core = _core.state_paths(
            self.forest.core,
            self._core,
            self.value,
            threshold,
            starts,
            _ids("without", without, self.num_edges),
            num_threads_or_all(num_threads),
        )
        return StatePaths(self, starts, core)

    def _root_of(self, task_id: str) -> int:
        return int(self.root_state[self.forest[task_id].tree_id])

    # Columns made on first use --------------------------------------------------------------------

    def _kept(self, name: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        if name not in self._made:
            column = self._made[name] = make()
            column.flags.writeable = False
        return self._made[name]

    def _make_source(self) -> NDArray[np.int32]:
        return self._core.source()

    def _make_previous_visit(self) -> NDArray[np.int32]:
        return self._core.previous_visit(self.forest.core, num_threads_or_all(None))

    def _make_tree_id(self) -> NDArray[np.int32]:
        sizes = np.diff(self._core.first_state)
        return np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)

    def _make_first_visit(self) -> NDArray[np.int32]:
        """States are numbered as nodes first come to them."""
        greatest = np.maximum.accumulate(self.node_state, dtype=np.int32)
        is_new = np.diff(greatest, prepend=-1) > 0
        return np.flatnonzero(is_new).astype(np.int32)

    def _action_of_edge(self) -> NDArray[np.int64]:
        """`[num_edges]` the number of its (source, action), from 0."""
        is_new = np.diff(self.source, prepend=-1) != 0
        is_new |= np.diff(self.action_id, prepend=-1) != 0
        return np.cumsum(is_new) - 1

    def _make_share(self) -> NDArray[np.float64]:
        action = self._action_of_edge()
        times = np.zeros(int(action[-1]) + 1 if action.size else 0, np.int64)
        np.add.at(times, action, self.count)
        return self.count / times[action]

    def _make_mean_reward(self) -> NDArray[np.float64]:
        rewards = [s.reward for t in self.forest.trajectories for s in t.steps]
        reward = np.array(rewards, np.float64)  # None becomes NaN
        is_known = ~np.isnan(reward)
        edge = self.node_edge[self.forest.step_node][is_known]
        times = np.bincount(edge, minlength=self.num_edges)
        total = np.bincount(edge, reward[is_known], minlength=self.num_edges)
        known = np.where(times > 0, times, 1)
        return np.where(times > 0, total / known, np.nan)


def state_graph(
    forest: Forest,
    keys: StateKeys,
    *,
    value: StateValue,
    scores: Iterable[float | None] | None,
    num_threads: int | None,
) -> StateGraph:
    """See `Forest.states`."""
    if value not in get_args(StateValue):
        raise InvalidInput(f"value={value!r}; expected 'best' or 'mean'")
    key = key_ids(keys, forest.num_nodes)
    score = None if scores is None else _scores(scores, forest.num_nodes)
    core = _core.build_state_graph(forest.core, key, num_threads_or_all(num_threads))
    return StateGraph(forest, core, _core.state_values(forest.core, core, value, score))


def _scores(scores: Iterable[float | None], num_nodes: int) -> NDArray[np.float64]:
    """Floats as they are, NaN for None. The core names infinite ones."""
    if isinstance(scores, np.ndarray) and scores.dtype.kind == "f":
        found = np.array(scores, np.float64)
    else:
        found = np.array(
            [
                np.nan if s is None or s != s else finite(f"scores[{i}]", s)
                for i, s in enumerate(scores)
            ],
            np.float64,
        )
    if found.shape != (num_nodes,):
        raise InvalidInput(f"scores has shape {found.shape}; expected ({num_nodes},), one a node")
    return found


def _ids(name: str, given: Ids, count: int) -> NDArray[np.int32]:
    """Ids below `count`, an array of its own."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "iu" and given.ndim == 1:
        ids = given.copy()  # whoever else holds the array may write to it
    else:
        numbers = [whole(f"{name}[{i}]", number) for i, number in enumerate(given)]
        ids = np.array(numbers, object)  # of any size
    wrong = np.flatnonzero((ids < 0) | (ids >= count))
    if wrong.size:
        i = int(wrong[0])
        raise InvalidInput(f"{name}[{i}]={ids[i]}; expected an id below {count}")
    return ids.astype(np.int32)
