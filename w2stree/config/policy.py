"""The policy of a configuration."""

from __future__ import annotations

from typing import Literal

from w2stree.config.section import Section
from w2stree.policy import ModelName, Policy, RandomPolicy


class RandomSection(Section):
    """Random play; `by_verb` draws the action's verb first."""

    name: Literal["random"]
    by_verb: bool = False

    def policy(self, model: ModelName) -> Policy:
        return RandomPolicy(by_verb=self.by_verb)


PolicySection = RandomSection
