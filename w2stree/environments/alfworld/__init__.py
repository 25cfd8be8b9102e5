"""ALFWorld: household tasks in text."""

from w2stree.environments.alfworld.environment import Alfworld

__all__ = ["Alfworld"]
