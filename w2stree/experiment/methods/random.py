"""Random play: what the environment gives to anyone."""

from __future__ import annotations

from w2stree.experiment.methods.method import Method
from w2stree.policies.random import RandomPolicy

METHOD = Method(
    name="random",
    label="Random play",
    explanation="takes any valid action",
    policy=RandomPolicy,
    needs_listed_actions=True,
)
