"""Trajectories: the only stored truth, and how it is stored."""
