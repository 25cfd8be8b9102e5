"""The arrays of a forest: by node, by tree and by trajectory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from w2stree import _core
from w2stree.forest.columns import Columns
from w2stree.forest.in_process import InProcess
from w2stree.forest.threads import num_threads_or_all

NODE_COLUMNS = (
    "parent",
    "action_id",
    "observation_id",
    "depth",
    "subtree_end",
    "num_children",
    "num_actions",
    "num_trajectories",
    "num_terminal",
    "first_trajectory",
    "return_sum",
)


class NodeColumns(InProcess):
    """What a forest knows of each node, tree and trajectory, as read-only arrays.

    Views of the core's memory; those that the core does not hold are written out on first use,
    on the available cores.
    """

    __slots__ = ("_columns", "_core")

    def __init__(self, core: _core.Forest) -> None:
        self._core = core
        self._columns = Columns(lambda name: getattr(core, name)(num_threads_or_all(None)))

    @property
    def core(self) -> _core.Forest:
        """The core's forest, for calls into `w2stree._core`."""
        return self._core

    @property
    def num_nodes(self) -> int:
        """Nodes of all trees, roots included."""
        return self.core.num_nodes

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays held now: what the core holds, and those written out so far.
        Texts and trajectories are not counted."""
        return self.core.num_bytes + sum(column.nbytes for column in self._columns.values())

    @property
    def root(self) -> NDArray[np.int32]:
        """`[num_trees]` root node of each tree."""
        return self._columns["root_node"]

    @property
    def parent(self) -> NDArray[np.int32]:
        """`[num_nodes]` parent node; -1 at roots."""
        return self._columns["node_parent"]

    @property
    def subtree_end(self) -> NDArray[np.int32]:
        """`[num_nodes]` one past the last node of the subtree."""
        return self._columns["node_subtree_end"]

    @property
    def action_id(self) -> NDArray[np.int32]:
        """`[num_nodes]` action on the edge into the node; -1 at roots."""
        return self.core.action_id

    @property
    def observation_id(self) -> NDArray[np.int32]:
        """`[num_nodes]` observation that answered it; -1 at roots."""
        return self.core.observation_id

    @property
    def depth(self) -> NDArray[np.int32]:
        """`[num_nodes]` steps from the root."""
        return self._columns["node_depth"]

    @property
    def num_children(self) -> NDArray[np.int32]:
        """`[num_nodes]` children."""
        return self._columns["node_num_children"]

    @property
    def num_actions(self) -> NDArray[np.int32]:
        """`[num_nodes]` distinct actions among the children."""
        return self._columns["node_num_actions"]

    @property
    def num_trajectories(self) -> NDArray[np.int32]:
        """`[num_nodes]` trajectories through the node, those ending there included."""
        return self._columns["node_num_trajectories"]

    @property
    def num_terminal(self) -> NDArray[np.int32]:
        """`[num_nodes]` trajectories that end exactly there."""
        return self._columns["node_num_terminal"]

    @property
    def first_trajectory(self) -> NDArray[np.int32]:
        """`[num_nodes]` where the node's slice of `trajectory_order` begins."""
        return self._columns["node_first_trajectory"]

    @property
    def return_sum(self) -> NDArray[np.float64]:
        """`[num_nodes]` sum of returns over the trajectories through it, in input order."""
        return self._columns["node_return_sum"]

    @property
    def end_node(self) -> NDArray[np.int32]:
        """`[num_trajectories]` node where each trajectory ends."""
        return self._columns["end_node"]

    @property
    def step_node(self) -> NDArray[np.int32]:
        """`[num_steps]` node that each step leads to, trajectory after trajectory in input order:
        `parent[step_node]` is where the agent stood. 4 bytes a step. O(steps)."""
        return self._columns["step_node"]

    @property
    def trajectory_order(self) -> NDArray[np.int32]:
        """`[num_trajectories]` trajectory indices by end node, ties in input order."""
        return self.core.trajectory_order

    @property
    def total_return(self) -> NDArray[np.float64]:
        """`[num_trajectories]` final scores."""
        return self.core.total_return

    @property
    def is_decision_divergence(self) -> NDArray[np.bool_]:
        """`[num_nodes]` trajectories chose different actions here."""
        return self.num_actions >= 2

    @property
    def is_environment_divergence(self) -> NDArray[np.bool_]:
        """`[num_nodes]` some action was answered differently: luck, no pair."""
        return self.num_children > self.num_actions

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The arrays by node as an Arrow stream, nothing copied: `pyarrow.table(forest)`,
        `polars.from_arrow(forest).struct.unnest()` (`polars.DataFrame` would see a mapping of
        tasks). Row n is node n; `actions` and `observations` have the texts.
        """
        return _core.export_arrow({name: getattr(self, name) for name in NODE_COLUMNS})
