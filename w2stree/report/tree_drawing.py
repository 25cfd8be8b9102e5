"""One task's tree as an SVG picture: what was done on the edges, how it went at the nodes.

                       ┌ take carrot ──(1.00)
    open fridge        │               1 run
(0.60)──────────────(0.60)
3 runs              3 runs
                       │ look around
                       │ … 4 more …
                       └ eat meal ─────(0.40)
                                       2 runs
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from w2stree import _core
from w2stree.forest.forest import Forest
from w2stree.forest.tree import Tree
from w2stree.report.tree_layout import (
    ELBOW,
    LINE_HEIGHT,
    NOTE_HEIGHT,
    PILL_HEIGHT,
    PILL_WIDTH,
    DrawnNode,
    lay_out,
    runs_text,
)
from w2stree.shorten import visible

# Cividis: made to look alike with and without colour-blindness (Nuñez et al., PLoS ONE 2018).
_SCALE = ((0, 34, 78), (66, 78, 108), (124, 123, 120), (187, 175, 113), (254, 232, 56))
_LUMA = (0.299, 0.587, 0.114)  # brightness of red, green, blue: black or white text on top


def choose_trees(forest: Forest, *, limit: int = 4) -> list[Tree]:
    """The trees that show most on one page, best first; the same forest gives the same ones.

    Only trees with an informative divergence: runs chose different actions and scored
    differently. Widest spread of returns first, then most informative divergences, then the
    smaller tree. Trees too large to read are left out unless there is nothing else.
    """
    num_pairs_at = _core.count_pairs(forest.core, _core.PairRule())
    ranked: list[tuple[tuple[float, ...], Tree]] = []
    for tree_id, task_id in enumerate(forest.task_ids):
        tree = forest[task_id]
        span = slice(tree.root, int(forest.subtree_end[tree.root]))
        num_informative = int(np.count_nonzero(num_pairs_at[span]))
        if num_informative:
            returns = [t.total_return for t in tree.trajectories]
            spread = max(returns) - min(returns)
            layout = lay_out(tree)
            size = layout.width * layout.height
            rank = (not layout.is_readable, -spread, -num_informative, size, tree_id)
            ranked.append((rank, tree))
    ranked.sort(key=lambda item: item[0])
    readable = [tree for rank, tree in ranked if not rank[0]]
    return readable[:limit] or [tree for _, tree in ranked[:1]]


def draw_tree(tree: Tree, best_end_node: int | None = None) -> str:
    """The tree as an SVG element, to be put into an HTML page; the path from the root to the node
    `best_end_node` is bold. Text takes the page's colour, so that the picture works on light and
    dark."""
    layout = lay_out(tree)
    best = frozenset[int]() if best_end_node is None else _path_to(tree, best_end_node)
    edges, labels, nodes = [], [], []
    for drawn in layout.root.walk():
        nodes.append(_draw_node(tree, drawn))
        for child in drawn.children:
            is_best = child.node in best
            edges.append((is_best, _draw_edge(drawn, child, is_best)))
            labels.append(_draw_labels(drawn, child, is_best))
    edges.sort(key=lambda edge: edge[0])  # the bold path on top of what it shares a corner with
    width, height = f"{layout.width:.0f}", f"{layout.height:.0f}"
    name = f"Tree of task {visible(tree.task_id)}: {tree!r}"
    return "\n".join(
        [
            f'<svg class="tree" xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(name)}</title>",
            *(svg for _, svg in edges),
            *labels,
            *nodes,
            "</svg>",
        ]
    )


def draw_legend() -> str:
    """The colour scale of mean returns, 0 to 1, as an SVG element."""
    stops = "".join(
        f'<stop offset="{i / (len(_SCALE) - 1):.2f}" stop-color="rgb{rgb}"/>'
        for i, rgb in enumerate(_SCALE)
    )
    return (
        '<svg class="scale" width="170" height="18" viewBox="0 0 170 18" role="img">'
        "<title>Colour scale of the mean return, from 0 to 1</title>"
        f'<defs><linearGradient id="mean-return">{stops}</linearGradient></defs>'
        '<text x="0" y="13">0</text>'
        '<rect x="14" y="2" width="130" height="14" rx="4" fill="url(#mean-return)" '
        'stroke="currentColor" stroke-opacity=".4"/>'
        '<text x="152" y="13">1</text></svg>'
    )


def _path_to(tree: Tree, node: int) -> frozenset[int]:
    nodes = set()
    while node != -1:
        nodes.add(node)
        node = int(tree.forest.parent[node])
    return frozenset(nodes)


def _draw_edge(parent: DrawnNode, child: DrawnNode, is_best: bool) -> str:
    start, bend = parent.x + PILL_WIDTH / 2, parent.x + PILL_WIDTH / 2 + ELBOW / 2
    end = child.x - PILL_WIDTH / 2
    curve = f"M{start:.1f} {parent.y:.1f}C{bend:.1f} {parent.y:.1f} {bend:.1f} {child.y:.1f}"
    kind = "edge best" if is_best else "edge"
    return f'<path class="{kind}" d="{curve} {start + ELBOW:.1f} {child.y:.1f}H{end:.1f}"/>'


def _draw_labels(parent: DrawnNode, child: DrawnNode, is_best: bool) -> str:
    x = parent.x + PILL_WIDTH / 2 + ELBOW
    top = child.y - 6 - (len(child.labels) - 1) * LINE_HEIGHT
    lines = "".join(
        f'<tspan x="{x:.1f}" y="{top + i * LINE_HEIGHT:.1f}">{escape(label)}</tspan>'
        for i, label in enumerate(child.labels)
    )
    whole = escape(visible(" > ".join(child.actions)))
    kind = "action best" if is_best else "action"
    return f'<text class="{kind}"><title>{whole}</title>{lines}</text>'


def _draw_node(tree: Tree, drawn: DrawnNode) -> str:
    forest, node = tree.forest, drawn.node
    mean = float(forest.return_sum[node]) / int(forest.num_trajectories[node])
    kind = "node"
    kind += " decision" * bool(forest.num_actions[node] >= 2)
    kind += " environment" * bool(forest.num_children[node] > forest.num_actions[node])
    rgb = _colour(mean)
    ink = "#000" if sum(weight * c for weight, c in zip(_LUMA, rgb, strict=True)) > 120 else "#fff"
    x, y = drawn.x - PILL_WIDTH / 2, drawn.y - PILL_HEIGHT / 2
    notes = "".join(
        f'<tspan x="{drawn.x:.1f}" y="{drawn.y + 22 + i * NOTE_HEIGHT:.1f}">{note}</tspan>'
        for i, note in enumerate(drawn.notes)
    )
    return (
        f'<g class="{kind}"><title>{escape(_hover(tree, node, mean))}</title>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{PILL_WIDTH:.0f}" height="{PILL_HEIGHT:.0f}" '
        f'rx="10" fill="rgb{rgb}"/>'
        f'<text class="value" x="{drawn.x:.1f}" y="{drawn.y + 4:.1f}" fill="{ink}">'
        f'{mean:.2f}</text><text class="note">{notes}</text></g>'
    )


def _hover(tree: Tree, node: int, mean: float) -> str:
    runs = runs_text(int(tree.forest.num_trajectories[node]))
    observation_id = int(tree.forest.observation_id[node])
    seen = tree.forest.observations[observation_id] if observation_id >= 0 else "the start"
    return f"{runs}, mean return {mean:.3f}. {visible(' '.join(seen.split()))}"


def _colour(value: float) -> tuple[int, int, int]:
    """A mean return's colour; values outside [0, 1] get the nearer end of the scale."""
    position = min(max(value, 0.0), 1.0) * (len(_SCALE) - 1)
    low = min(int(position), len(_SCALE) - 2)
    share = position - low
    mixed: Sequence[int] = [
        round(a + share * (b - a)) for a, b in zip(_SCALE[low], _SCALE[low + 1], strict=True)
    ]
    return mixed[0], mixed[1], mixed[2]
