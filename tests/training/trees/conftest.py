"""What several tests of training on trees share."""

from __future__ import annotations

import pytest


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention in several blocks, also over tiny packs."""
    gather = pytest.importorskip("w2stree.training.trees.attention.gather")
    monkeypatch.setattr(gather, "block_size", lambda device: 5)
