"""Results written down, by SHA-256 over little-endian bytes: every platform must reproduce them.

A change of one is a change of results that users see: say so in CHANGELOG.md.
"""

from __future__ import annotations

import hashlib
from random import Random

import pytest
from support.comparisons import FOREST_COLUMNS, SEARCH_COLUMNS
from support.strategies import PROMPT

from w2stree import Forest, Step, Trajectory, build_forest

TEXTS = ["go", "Go", "", "é", "e\u0301", "打开 门", "🗝"]
PAIR_COLUMNS = ("divergence", "chosen", "rejected", "gap")


def sha256(owner: object, names: tuple[str, ...]) -> str:
    found = hashlib.sha256()
    for name in names:
        column = getattr(owner, name)
        found.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def forest() -> Forest:
    """Five tasks of 60 trajectories or so that share prefixes, and a sixth whose root has 129
    children. Only `Random.random` is used: Python promises its numbers for every version."""
    random = Random(20240229)

    def below(end: int) -> int:
        return int(random.random() * end)

    def a_return() -> float:
        return below(8) / 7 - below(3) * 0.1

    paths: list[tuple[Step, ...]] = [()]
    for _ in range(300):
        shared = paths[below(len(paths))]
        own = [Step(TEXTS[below(7)], TEXTS[below(3)]) for _ in range(below(4))]
        paths.append((*shared[: below(len(shared) + 1)], *own))
    trajectories = [
        Trajectory(f"task {below(5)}", PROMPT, path, a_return(), "done") for path in paths
    ]
    arms = [(Step(str(below(70)), TEXTS[below(2)]),) for _ in range(300)]
    trajectories += [Trajectory("arms", PROMPT, arm, a_return(), "done") for arm in arms]
    return build_forest(trajectories)


def test_forest(forest: Forest) -> None:
    assert forest.digest() == "030e8571a9ebcc2de19afa04ab6ba5b5"
    assert (
        sha256(forest, FOREST_COLUMNS)
        == "1f11b32333326d9a682bcbe4eb1af05446784c6ed66ddcd4bc32bf975ef74c82"
    )


@pytest.fixture(scope="module")
def forest_of_leaves(forest: Forest) -> Forest:
    """Its trajectories that end at leaves: no STOP, Eq. 7 alone."""
    ends_at_a_leaf = forest.num_children[forest.end_node] == 0
    kept = [t for t, ends in zip(forest.trajectories, ends_at_a_leaf, strict=True) if ends]
    return build_forest(kept)


SEARCHES = {
    "defaults": (
        {},
        "c9a3ea6e5d775a58905fc0a23195e207d75662ffee08d4aa66373cee57dd2047",
    ),
    "without stop arm": (
        {"stop_arm": False},
        "cb1e3f56441f4c717850b317b5fa521415b5c09293f9ac27c72a89ffaaaa7696",
    ),
    "without exploration": (
        {"exploration": 0.0},
        "6e8ffadaeb46835039d464d671d2d0b47eb61145330397bff3ecf8acd70f2bff",
    ),
    "greatest value": (
        {"backup": "max", "min_visits": 3},
        "251970a50f85f680d16c1b108fac39bad7131c8dce698601dc8217ce75afd29c",
    ),
    "many paths, with patience": (
        {"num_paths": 9, "patience": 50},
        "6e6601941fdbc7e434b77efaa1ab79602e7b060e03beb936c2fd962386ab7d63",
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_search(forest: Forest, name: str) -> None:
    options, expected = SEARCHES[name]
    assert searched(forest, options) == expected


SEARCHES_OF_LEAVES = {
    "defaults": (
        {},
        "406e1a0cc01a5dbae089140b09a1ba5d1facf482e06dd8b5cb2b0a9bb7899793",
    ),
    "without exploration": (
        {"exploration": 0.0},
        "6a0156e101c245ba664d4c8b5dd638b1509f265f5fa5aa317ded193afd91afe9",
    ),
    "greatest value": (
        {"backup": "max", "min_visits": 3},
        "991ee6d6cdcbca7979d7ccef452ae038c3742f8922952729012fe8dd1e456e15",
    ),
    "many paths, with patience": (
        {"num_paths": 9, "patience": 50},
        "cc1ec0bc0aef287c2c540258cca0be08925ffd08b90779686e9d37d072d6bc9b",
    ),
}


@pytest.mark.parametrize("name", SEARCHES_OF_LEAVES)
def test_search_of_leaves(forest_of_leaves: Forest, name: str) -> None:
    options, expected = SEARCHES_OF_LEAVES[name]
    assert searched(forest_of_leaves, options) == expected


def searched(forest: Forest, options: dict) -> str:
    exploration = options.get("exploration", 1.41) / 2  # the range is twice as wide: 1.41 again
    asked = {**options, "exploration": exploration, "return_range": (-1, 1)}
    return sha256(forest.search(num_simulations=2000, **asked), SEARCH_COLUMNS)


PAIRS = {
    "all": (
        {},
        "f9e321200ec8c0af076ff4b7a854302b2f6e8ef74b5a8bbebccd3e462656b59a",
    ),
    "by gap": (
        {"min_gap": 0.3},
        "71f0cf13810b439fa673687b2bf78afc8dba2d729aec1ac7ef9b256f54bcd69c",
    ),
    "success against failure": (
        {"success_threshold": 0.75, "return_range": (-1, 1)},
        "dac841b7b69eb84a515b6b954bf1813314b2ab49735bc17f48cc7d6038617c49",
    ),
    "best against worst": (
        {"strategy": "best_worst"},
        "031e1ccc69209c29c7e1a5590bb817bf4531f21f04cd0e3d7176cf7923b933c1",
    ),
    "limited": (
        {"per_divergence": 3, "max_per_task": 40, "seed": 7},
        "03aed8330fca504f89086c48caf5f38f58b3a1dd0e3e01fc5db77542cde4ecef",
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(forest: Forest, name: str) -> None:
    options, expected = PAIRS[name]
    assert sha256(forest.pairs(**options), PAIR_COLUMNS) == expected


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, "4c50b0bfb32dd1c8708ccab7c103a53e9e8898059ff8ae89e28a9b05bb52c8fc"),
        (1, "e8702e97a195837f02e70dfe03dcb836ddbc04e889e50d6305d8d8ec2550cf13"),
        (2**64 - 1, "f047840c509133bf05a404f29538665145060af0a59caa0a3532fda23fe5432d"),
    ],
)
def test_sampled_pairs(forest: Forest, seed: int, expected: str) -> None:
    assert sha256(forest.sample_pairs(100, seed=seed), PAIR_COLUMNS) == expected
