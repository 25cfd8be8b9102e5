"""How fast a view is, in a real browser with software drawing.

    npm ci --prefix viewer && python -m bench.viewer   # --large: the million alone

100,000 nodes with whole texts and a million of numbers: what a reader waits for, by the clock, and
what the processors had to do for it, all threads together, which a busy machine changes little.
docs/viewer.md has the aims.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import w2stree as w2s
from w2stree.forest import build_forest_from_ids
from w2stree.viewer import write_view

WEB = Path(__file__).resolve().parents[1] / "viewer"
WORDS = (
    "take",
    "open",
    "close",
    "go",
    "put",
    "clean",
    "heat",
    "mug",
    "pan",
    "plate",
    "key",
    "door",
)


def worded(num_tasks: int, runs: int, steps: int, seed: int = 0) -> Iterator[w2s.Trajectory]:
    """Runs that leave one another now and then; thoughts of their own, answers of 150 bytes."""
    draw = random.Random(seed)
    for task in range(num_tasks):
        prompt = (w2s.Message("user", f"Your task is number {task}. " * 8),)
        stem: list[w2s.Step] = []
        for _ in range(runs):
            path = stem[: draw.randint(0, len(stem))]
            while len(path) < steps:
                action = " ".join(draw.choices(WORDS, k=3))
                thought = " ".join(draw.choices(WORDS, k=24))
                answer = f"You {action}. " + " ".join(draw.choices(WORDS, k=25))
                path.append(w2s.Step(action, answer, f"Thought: {thought}\nAction: {action}"))
            stem = path
            outcome = draw.choice([0.0, 0.0, 0.5, 1.0])
            name = f"room-{task % 40}/task-{task}"
            yield w2s.Trajectory(name, prompt, tuple(path), outcome, "done")


def numbered(num_tasks: int, runs: int, steps: int, seed: int = 0) -> w2s.Forest:
    """A forest of ids, as large."""
    draw = np.random.default_rng(seed)
    num_runs = num_tasks * runs
    actions = draw.integers(0, 4, num_runs * steps)
    actions.reshape(num_runs, steps)[:, : steps // 6] //= 3  # they begin alike
    offsets = np.arange(0, num_runs * steps + 1, steps)
    return build_forest_from_ids(
        actions.astype(np.int32),
        np.zeros(num_runs * steps, np.int32),
        offsets.astype(np.int64),
        np.repeat(np.arange(num_tasks), runs).astype(np.int32),
        draw.choice([0.0, 0.5, 1.0], num_runs),
    )


def figures(forest: w2s.Forest, folder: Path) -> dict[str, list[float]]:
    """Milliseconds by what is done: by the clock in the middle and at the 95th of a hundred, and
    the processor's in the mean."""
    view = folder / f"{forest.num_nodes}.html"
    write_view(forest, view)
    done = subprocess.run(
        ["node", "bench.mjs", str(view)], cwd=WEB, capture_output=True, text=True, check=True
    )
    measured = json.loads(done.stdout)
    print(f"\n{forest.num_nodes:,} nodes, {view.stat().st_size / 1e6:.1f} MB")
    print(f"{'':<24}{'median':>10}{'p95':>10}{'processor':>12}   ms")
    for name, (middle, late, processor) in measured.items():
        print(f"{name:<24}{middle:>10.1f}{late:>10.1f}{processor:>12.1f}")
    return dict(measured)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="w2stree-bench-") as folder:
        if "--large" not in sys.argv:
            figures(w2s.build_forest(worded(1000, 7, 24)), Path(folder))
        figures(numbered(2000, 20, 30), Path(folder))


if __name__ == "__main__":
    sys.exit(main())
