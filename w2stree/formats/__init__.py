"""Runs as other tools write them. A contents page: the formats, the most particular first."""

from w2stree.formats import agenttraj, eto, messages, own, sharegpt, swe_agent, tau_bench
from w2stree.formats.format import Format

FORMATS: tuple[Format, ...] = (
    own.FORMAT,
    swe_agent.FORMAT,
    tau_bench.FORMAT,
    agenttraj.FORMAT,
    eto.FORMAT,
    sharegpt.FORMAT,
    messages.FORMAT,
)
"""A record is of the first that recognises it."""
