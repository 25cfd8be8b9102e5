"""Paths made of what several runs of a task did, each played before it counts."""
