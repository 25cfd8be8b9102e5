"""Runs as other tools write them. A contents page: the formats, the most particular first."""

from w2stree.formats import messages, own, sharegpt
from w2stree.formats.format import Format

FORMATS: tuple[Format, ...] = (own.FORMAT, sharegpt.FORMAT, messages.FORMAT)
"""A record is of the first that recognises it."""
