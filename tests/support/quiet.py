"""Of modules whose drawn trajectories are often alike, or take no action: `pytestmark = QUIET`."""

from __future__ import annotations

import pytest

QUIET = [
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.TurnsWithoutAction"),
]
