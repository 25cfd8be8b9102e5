"""What a contrast of the grid's table is said to show."""

from __future__ import annotations

import numpy as np
import pytest

from w2stree.evaluation import crossed_estimate
from w2stree.report.grid import GridContrast


def contrast(cells: np.ndarray, p_holm: float | None) -> GridContrast:
    found = crossed_estimate(cells, num_bootstrap=100, seed=0)
    return GridContrast(
        world="w", variant="", panel="test", contrast="a - b", seeds=range(len(cells)),
        estimate=found, p_holm=p_holm if found.p is not None else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "p_holm", "expected"),
    [
        (np.zeros((5, 400)), None, "no difference shown"),  # the same on every task: not too few
        (np.zeros((5, 29)), None, "too few to tell"),
        (np.zeros((1, 400)), None, "too few to tell"),
        (np.full((5, 400), 0.1), None, "too few to tell"),  # alike, and no luck to be seen
        (np.eye(5, 400) + 0.1, 0.01, "gains"),
        (-np.eye(5, 400) - 0.1, 0.01, "loses"),
        (np.eye(5, 400), 0.2, "no difference shown"),
    ],
)
def test_verdicts(cells: np.ndarray, p_holm: float | None, expected: str) -> None:
    assert contrast(cells, p_holm).verdict == expected
