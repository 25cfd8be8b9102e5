"""Rollouts: policies play environments, many episodes at a time, into a journal."""
