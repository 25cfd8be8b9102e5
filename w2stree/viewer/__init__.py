"""A forest to browse: one HTML file, whole in itself, that opens from disk."""

from w2stree.viewer.made_rows import MadeRow, made_row
from w2stree.viewer.opening import OpenAt
from w2stree.viewer.view import write_view

__all__ = ["MadeRow", "OpenAt", "made_row", "write_view"]
