"""Forests: trajectories of many tasks merged into one tree a task."""

from w2stree.forest.build import (
    build_forest,
    build_forest_from_arrow,
    build_forest_from_ids,
    build_forest_from_texts,
    merge_forests,
    open_forest,
)
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging

__all__ = [
    "Forest",
    "Merging",
    "build_forest",
    "build_forest_from_arrow",
    "build_forest_from_ids",
    "build_forest_from_texts",
    "merge_forests",
    "open_forest",
]
