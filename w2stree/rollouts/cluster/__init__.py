"""Exploration on a cluster: a worker a machine, each with its own environments and journal."""
