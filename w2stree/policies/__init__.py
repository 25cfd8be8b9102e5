"""Policies that act with a language model."""
