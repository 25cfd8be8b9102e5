"""Policies for a cluster's workers, which import them by name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from support.lock import Lock

from w2stree.policies.protocol import Episode
from w2stree.policies.random import RandomPolicy


class Slow(RandomPolicy):
    """Long enough at every turn for something to happen meanwhile."""

    def act(self, episodes: Sequence[Episode]) -> Any:
        time.sleep(0.2)
        return super().act(episodes)


class Mistaken(RandomPolicy):
    """Answers nobody."""

    def act(self, episodes: Sequence[Episode]) -> Any:
        return []


class Deadly(RandomPolicy):
    """Ends the process that asks it."""

    def act(self, episodes: Sequence[Episode]) -> Any:
        os._exit(3)


class Unstartable(Lock):
    def __init__(self) -> None:
        raise RuntimeError("the dials are missing")


def slow(model: str) -> Slow:
    return Slow()


def mistaken(model: str) -> Mistaken:
    return Mistaken()


def deadly(model: str) -> Deadly:
    return Deadly()
