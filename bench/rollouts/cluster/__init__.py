"""Exploration on a cluster of any size, on paper: measured episodes, leases as they are."""
