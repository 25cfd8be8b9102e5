"""A user's own environment: Gymnasium's, or a generator function."""

from w2stree.environments.gymnasium.environment import GymnasiumEnvironment

__all__ = ["GymnasiumEnvironment"]
