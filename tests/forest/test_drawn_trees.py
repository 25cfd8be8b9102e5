"""One task's tree as text: how wide, how deep, and which branches."""

from __future__ import annotations

import random
import re

import pytest

from w2stree import Step, Trajectory, Tree, build_forest
from w2stree.shorten import num_columns

LABEL = re.compile(r"\[n=\d+ r=[\d.]+( [.*~+]+)?\]")


@pytest.fixture(scope="module")
def tree() -> Tree:
    """Forty random walks with names of many lengths, wide characters among them."""
    rng = random.Random(0)
    names = ["go", "take the very long rope of the bell", "鍵を取る", "open " + "door " * 20]
    runs = []
    for _ in range(40):
        actions = rng.choices(names, k=rng.randint(1, 12))
        steps = tuple(
            Step(action, f"You {action}. 部屋 {rng.random() < 0.9}") for action in actions
        )
        runs.append(Trajectory("walk", (), steps, float(rng.random() < 0.5), "done"))
    return build_forest(runs)["walk"]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
def test_lines_fit_and_their_labels_are_whole(tree: Tree, width: int) -> None:
    first, *lines, _ = tree.drawn(width=width).splitlines()
    assert first.startswith("walk  [n=40")
    assert len(lines) == len(tree.drawn().splitlines()) - 2
    for line in lines:
        assert len(LABEL.findall(line)) == 1, line
        begin = re.match(r"[|` ]*- ", line)
        assert begin is not None
        assert num_columns(line) <= max(width, len(begin[0]) + 40), line
        assert not line.endswith(" ")


def test_what_is_not_shown_is_counted(tree: Tree) -> None:
    counts, depths = tree.forest.num_trajectories, tree.forest.depth
    whole = tree.drawn()
    deepest = tree.drawn(depth=int(depths.max()), min_runs=1)
    assert deepest.splitlines()[:-1] == whole.splitlines()[:-1]
    for depth, min_runs in ((1, 1), (3, 1), (20, 2), (20, 5), (4, 3), (0, 1)):
        drawn = tree.drawn(depth=depth, min_runs=min_runs)
        hidden = re.findall(r"\((\d+) branch(?:es)? of (\d+) trajector", drawn)
        nodes = range(tree.root, tree.root + tree.num_nodes)
        shown = [node for node in nodes if _is_shown(tree, node, depth, min_runs)]
        rare = [n for node in shown for n in tree.children(node) if counts[n] < min_runs]
        rare = [n for n in rare if depths[n] <= depth]
        assert sum(int(n) for n, _ in hidden) == len(rare)
        assert sum(int(n) for _, n in hidden) == counts[rare].sum()
        goes_on = [n for n in shown if depths[n] == depth and tree.forest.num_children[n]]
        assert len(re.findall(r"\[n=[^]]*\+\]", drawn)) == len(goes_on)


def _is_shown(tree: Tree, node: int, depth: int, min_runs: int) -> bool:
    """It and all above it."""
    path = tree.forest.path_to(node)[1:]
    return len(path) <= depth and all(
        tree.forest.num_trajectories[above] >= min_runs for above in path
    )


def test_the_id_is_whole_and_nothing_in_it_is_obeyed() -> None:
    task = "x\x1b[2J" + "long " * 40
    run = Trajectory(task, (), (Step("go", "Gone."),), 1.0, "done")
    first = build_forest([run])[task].drawn(width=40).splitlines()[0]
    assert first.startswith(r"x\x1b[2J" + "long " * 40)
