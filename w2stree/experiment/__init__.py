"""Experiments: a configuration and the stages that lead from it to a report."""
