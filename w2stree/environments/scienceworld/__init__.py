"""ScienceWorld: elementary-school experiments in a text world."""

from w2stree.environments.scienceworld.environment import ScienceWorld

__all__ = ["ScienceWorld"]
