"""The state graph in plain Python, slow and obvious: what the core must agree with exactly.

Written from the rules (`Forest.states`, `StateGraph`), on the oracle's trees: dictionaries, lists,
and paths found by trying, where the core searches breadth first.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from support import oracle

from w2stree.trajectories.trajectory import Trajectory

Edge = tuple[int, int, int]  # source, action, target: sorted, they are numbered


@dataclass(frozen=True)
class Found:
    """A path, as edges; None for "no trajectory"."""

    end: int
    edges: tuple[int, ...]
    trajectory: int | None


@dataclass
class Seen:
    """What an edge was seen as."""

    nodes: list[int] = field(default_factory=list)
    trajectories: list[int] = field(default_factory=list)  # one for each time
    rewards: list[float] = field(default_factory=list)


class States:
    """`keys`: one a node in pre-order, None for a state of its own."""

    def __init__(self, trajectories: Sequence[Trajectory], keys: Sequence[Hashable | None]) -> None:
        self.trajectories = trajectories
        self.roots = oracle.build(trajectories)
        self.nodes = oracle.all_nodes(self.roots)
        self.number = {node: i for i, node in enumerate(self.nodes)}
        self.actions = list(dict.fromkeys(s.action for t in trajectories for s in t.steps))
        self.node_state = self._number_states(keys)
        self.state = dict(zip(self.nodes, self.node_state, strict=True))
        self.num_states = max(self.node_state, default=-1) + 1
        self.root_state = [self.state[root] for root in self.roots.values()]
        self.seen = self._edges()
        self.edges = sorted(self.seen)
        self.edge_number = {edge: i for i, edge in enumerate(self.edges)}

    def _number_states(self, keys: Sequence[Hashable | None]) -> list[int]:
        known: dict[Hashable, int] = {}
        own = count()
        states = []
        for i, node in enumerate(self.nodes):
            key = ("own", next(own)) if keys[i] is None else ("given", keys[i])
            states.append(known.setdefault((self._root(node), key), len(known)))
        return states

    def _root(self, node: oracle.Node) -> oracle.Node:
        return node if node.parent is None else self._root(node.parent)

    def _edges(self) -> dict[Edge, Seen]:
        seen: dict[Edge, Seen] = {}
        for node in self.nodes:
            if node.parent is not None:
                seen.setdefault(self.edge_into(node), Seen()).nodes.append(self.number[node])
        for i, trajectory in enumerate(self.trajectories):
            path = oracle.path_of(self.roots, trajectory)
            for node, step in zip(path, trajectory.steps, strict=True):
                of_edge = seen[self.edge_into(node)]
                of_edge.trajectories.append(i)
                if step.reward is not None:
                    of_edge.rewards.append(step.reward)
        return seen

    def edge_into(self, node: oracle.Node) -> Edge:
        assert node.parent is not None and node.key is not None
        return self.state[node.parent], self.actions.index(node.key[0]), self.state[node]

    # Columns --------------------------------------------------------------------------------------

    def node_edge(self) -> list[int]:
        return [
            -1 if node.parent is None else self.edge_number[self.edge_into(node)]
            for node in self.nodes
        ]

    def previous_visit(self) -> list[int]:
        found = []
        for node in self.nodes:
            above = node.parent
            while above is not None and self.state[above] != self.state[node]:
                above = above.parent
            found.append(-1 if above is None else self.number[above])
        return found

    def share(self) -> list[float]:
        def times(edge: Edge) -> int:
            return len(self.seen[edge].trajectories)

        return [
            times(edge) / sum(times(other) for other in self.edges if other[:2] == edge[:2])
            for edge in self.edges
        ]

    def num_disagreements(self) -> int:
        starts = [edge[:2] for edge in self.edges]
        return sum(1 for start in set(starts) if starts.count(start) > 1)

    def mean_reward(self) -> list[float]:
        return [
            oracle.add_up(rewards) / len(rewards) if rewards else math.nan
            for rewards in (self.seen[edge].rewards for edge in self.edges)
        ]

    def values(self, worth: str, scores: Sequence[float] | None = None) -> list[float]:
        seen: list[list[tuple[float, int]]] = [[] for _ in range(self.num_states)]
        for i, node in enumerate(self.nodes):
            if scores is None:
                returns = [(self.trajectories[t].total_return, 1) for t in node.ending]
                seen[self.node_state[i]] += returns
            elif not math.isnan(scores[i]):
                seen[self.node_state[i]].append((scores[i], len(node.through)))
        if worth == "best":
            return [max((value for value, _ in of), default=math.nan) for of in seen]
        return [
            oracle.add_up([value * times for value, times in of]) / sum(times for _, times in of)
            if of
            else math.nan
            for of in seen
        ]

    # Paths ----------------------------------------------------------------------------------------

    def ways_from(self, start: int, without: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """To each state that can be reached, the shortest path; of several that of the lowest
        edges. Better ones are put in until there are none."""
        best: dict[int, tuple[int, ...]] = {start: ()}
        while True:
            before = dict(best)
            for number, (source, _, target) in enumerate(self.edges):
                if number in without or source not in best:
                    continue
                way = (*best[source], number)
                known = best.get(target)
                if known is None or (len(way), way) < (len(known), known):
                    best[target] = way
            if best == before:
                return best

    def all_ways_from(self, start: int, without: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Every path that takes no state twice. Exponentially many."""
        pending: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), (start,))]
        while pending:
            way, states = pending.pop()
            yield way
            for number, (source, _, target) in enumerate(self.edges):
                if source == states[-1] and target not in states and number not in without:
                    pending.append(((*way, number), (*states, target)))

    def best_path(
        self, values: Sequence[float], start: int, without: Sequence[int] = ()
    ) -> Found | None:
        ways = self.ways_from(start, without)
        return self.chosen(values, start, ways.values(), None)

    def shortest_path(
        self, values: Sequence[float], threshold: float, start: int, without: Sequence[int] = ()
    ) -> Found | None:
        ways = self.ways_from(start, without)
        return self.chosen(values, start, ways.values(), threshold)

    def chosen(
        self,
        values: Sequence[float],
        start: int,
        ways: Iterable[tuple[int, ...]],
        threshold: float | None,
    ) -> Found | None:
        """Of these ways, to a state of at least the threshold (None: of the greatest value), the
        shortest, then that to the lowest state, then that of the lowest edges."""
        ends = {way: self.edges[way[-1]][2] if way else start for way in ways}
        worth = [values[end] for end in ends.values() if not math.isnan(values[end])]
        if not worth:
            return None
        least = max(worth) if threshold is None else threshold
        wanted = [way for way, end in ends.items() if oracle.at_least(values[end], least)]
        if not wanted:
            return None
        way = min(wanted, key=lambda way: (len(way), ends[way], way))
        return Found(ends[way], way, self.trajectory_along(start, ends[way], way))

    def trajectory_along(self, start: int, end: int, way: tuple[int, ...]) -> int | None:
        found = []
        for i, trajectory in enumerate(self.trajectories):
            nodes = [self.roots[trajectory.task_id], *oracle.path_of(self.roots, trajectory)]
            states = [self.state[node] for node in nodes]
            taken = tuple(self.edge_number[self.edge_into(node)] for node in nodes[1:])
            begin = len(taken) - len(way)
            if begin < 0 or taken[begin:] != way or (states[begin], states[-1]) != (start, end):
                continue
            if begin == 0 or start not in self.root_state:
                found.append(i)
        return max(found, key=lambda i: self.trajectories[i].total_return, default=None)

    def distance_to_goal(
        self, values: Sequence[float], threshold: float, without: Sequence[int] = ()
    ) -> list[int]:
        found = []
        for state in range(self.num_states):
            path = self.shortest_path(values, threshold, state, without)
            found.append(-1 if path is None else len(path.edges))
        return found
