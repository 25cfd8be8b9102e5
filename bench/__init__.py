"""Benchmarks: commands whose output the docs quote."""
