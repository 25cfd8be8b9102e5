"""Any sequence of builds, additions, merges, files, searches and pairs: the forest stays the one
built at once from the plain list of its trajectories."""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from support import digest_oracle, oracle
from support.columns import columns_of
from support.comparisons import (
    assert_forest_equals_oracle,
    assert_same_forest,
    assert_same_search,
    assert_search_equals_oracle,
    is_subsequence,
    rows,
)
from support.strategies import PAIR_RULES, SEARCHES, episode, trajectory_lists

from w2stree import (
    Forest,
    IdenticalTrajectories,
    SearchResult,
    Trajectory,
    build_forest,
    merge_forests,
    open_forest,
)
from w2stree.errors import TurnsWithoutAction
from w2stree.forest import build_forest_from_texts

SMALL = 20  # trajectories: the oracle, slow, is asked about no more


def from_texts(trajectories: list[Trajectory]) -> Forest:
    return build_forest_from_texts(**columns_of(trajectories))


def from_arrow(trajectories: list[Trajectory]) -> Forest:
    import pyarrow as pa

    from w2stree.forest import build_forest_from_arrow

    text = pa.string()
    types = {"task_id": text, "actions": pa.list_(text), "observations": pa.list_(text)}
    schema = pa.schema([*types.items(), ("total_return", pa.float64())])
    return build_forest_from_arrow(pa.table(columns_of(trajectories), schema))


ROUTES: list[Callable[[list[Trajectory]], Forest]] = [build_forest, from_texts]
if importlib.util.find_spec("pyarrow"):
    ROUTES.append(from_arrow)


class ForestMachine(RuleBasedStateMachine):
    @initialize(trajectories=trajectory_lists(), route=st.sampled_from(ROUTES))
    def build(self, trajectories: list[Trajectory], route: Callable) -> None:
        self.quiet = warnings.catch_warnings()
        self.quiet.__enter__()
        warnings.simplefilter("ignore", IdenticalTrajectories)
        warnings.simplefilter("ignore", TurnsWithoutAction)
        self.folder = tempfile.TemporaryDirectory()
        self.num_shards = 0
        self.model = trajectories
        self.num_errors = 0
        self.is_complete = route is build_forest  # prompts and status included
        self.become(route(trajectories))

    def become(self, forest: Forest) -> None:
        self.forest = forest
        self.at_once = build_forest([*self.model, *[FAILED] * self.num_errors])
        self.searched: tuple[dict, int, SearchResult] | None = None

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()
            self.quiet.__exit__(None, None, None)

    @rule(batch=trajectory_lists() | st.just([]), num_errors=st.integers(0, 1))
    def add(self, batch: list[Trajectory], num_errors: int) -> None:
        old, nodes = self.forest, self.forest.num_nodes
        self.model = self.model + batch
        self.num_errors += num_errors
        self.become(old.add([*[FAILED] * num_errors, *batch]))
        assert old.num_nodes == nodes

    @rule(
        trajectories=trajectory_lists(),
        route=st.sampled_from(ROUTES),
        goes_first=st.booleans(),
        in_two=st.booleans(),
    )
    def merge(
        self, trajectories: list[Trajectory], route: Callable, goes_first: bool, in_two: bool
    ) -> None:
        self.num_shards += 1
        new = [replace(t, task_id=f"{self.num_shards} {t.task_id}") for t in trajectories]
        tasks = {t.task_id for t in new}
        chosen = [{max(tasks)}, tasks - {max(tasks)}] if in_two and len(tasks) > 1 else [tasks]
        parts = [[t for t in new if t.task_id in own] for own in chosen]
        shards = [(part, route(part)) for part in parts]
        mine = (self.model, self.forest)
        shards = [*shards, mine] if goes_first else [mine, *shards]
        self.model = [t for part, _ in shards for t in part]
        self.is_complete &= route is build_forest
        self.become(merge_forests(shard for _, shard in shards))

    @rule(with_trajectories=st.booleans())
    def save_and_open(self, with_trajectories: bool) -> None:
        path = Path(self.folder.name) / "forest"
        self.forest.save(path)
        self.become(open_forest(path, trajectories=self.model if with_trajectories else None))
        self.is_complete = with_trajectories

    @rule(options=SEARCHES)
    def search(self, options: dict) -> None:
        num_simulations = options.pop("num_simulations")
        result = self.forest.search(num_simulations=num_simulations, **options)
        self.check_search(options, num_simulations, result)

    @precondition(lambda self: self.searched is not None)
    @rule(more=st.integers(1, 40))
    def search_on(self, more: int) -> None:
        options, num_simulations, result = self.searched
        result = self.forest.search(num_simulations=more, resume=result, **options)
        self.check_search(options, num_simulations + more, result)

    def check_search(self, options: dict, num_simulations: int, result: SearchResult) -> None:
        self.searched = (options, num_simulations, result)
        options = {**options, "num_simulations": num_simulations}
        assert_same_search(result, self.at_once.search(**options))
        if len(self.model) <= SMALL:
            assert_search_equals_oracle(result, self.model, options)

    @rule(
        wanted=PAIR_RULES,
        chunk_size=st.sampled_from([1, 3, 1000]),
        num_pairs=st.integers(0, 20),
        seed=st.integers(0, 2**64 - 1),
        strategy=st.sampled_from(["all", "best_worst"]),
        limit=st.none() | st.integers(1, 5),
    )
    def pairs(
        self, wanted: dict, chunk_size: int, num_pairs: int, seed: int, strategy: str, limit
    ) -> None:
        forest, found = self.forest, rows(self.forest.pairs(**wanted))
        assert forest.count_pairs(**wanted) == len(found)
        chunks = forest.stream_pairs(**wanted, chunk_size=chunk_size)
        assert [row for chunk in chunks for row in rows(chunk)] == found
        sample = {"num_pairs": num_pairs, "seed": seed, **wanted}
        drawn = rows(forest.sample_pairs(**sample))
        assert drawn == rows(self.at_once.sample_pairs(**sample))
        assert len(drawn) == min(num_pairs, len(found)) and is_subsequence(drawn, found)
        few = {**wanted, "strategy": strategy, "max_per_task": limit, "seed": seed}
        assert rows(forest.pairs(**few)) == rows(self.at_once.pairs(**few))
        if len(self.model) <= SMALL:
            assert found == oracle.pairs(self.model, oracle.build(self.model), **wanted)
            assert rows(forest.pairs(**wanted, strategy="best_worst")) == oracle.best_worst(found)

    @rule(random=st.randoms(use_true_random=False))
    def digest(self, random) -> None:
        shuffled = random.sample(self.model, len(self.model))
        assert build_forest(shuffled).digest() == self.forest.digest()
        if len(self.model) <= SMALL:
            assert self.forest.digest() == digest_oracle.digest(self.model)

    @invariant()
    def is_the_forest_built_at_once(self) -> None:
        assert_same_forest(self.forest, self.at_once)
        trajectories = list(self.forest.trajectories)
        if self.is_complete:
            assert trajectories == self.model
        assert [(t.task_id, t.steps, t.total_return) for t in trajectories] == [
            (t.task_id, t.steps, t.total_return) for t in self.model
        ]
        if len(self.model) <= SMALL:
            assert_forest_equals_oracle(self.forest, self.model)


FAILED = episode("z", 0.0, "failed", status="error")
TestForest = ForestMachine.TestCase
TestForest.settings = settings(max_examples=60, stateful_step_count=12)
