"""A user's own environment: Gymnasium's, older Gym's, or a generator function."""

from w2stree.environments.gymnasium.environment import GymnasiumEnvironment

__all__ = ["GymnasiumEnvironment"]
