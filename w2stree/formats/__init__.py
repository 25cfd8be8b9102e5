"""Runs as other tools write them. A contents page: the formats, the most particular first."""

from w2stree.formats import (
    agenttraj,
    atif,
    eto,
    inspect_eval,
    messages,
    opentelemetry,
    own,
    responses,
    sharegpt,
    swe_agent,
    tau2_bench,
    tau_bench,
    verifiers,
)
from w2stree.formats.format import Format

FORMATS: tuple[Format, ...] = (
    own.FORMAT,
    atif.FORMAT,
    inspect_eval.FORMAT,
    opentelemetry.FORMAT,
    swe_agent.FORMAT,
    tau2_bench.FORMAT,
    tau_bench.FORMAT,
    verifiers.FORMAT,
    agenttraj.FORMAT,
    eto.FORMAT,
    sharegpt.FORMAT,
    messages.FORMAT,
    responses.FORMAT,
)
"""A record is of the first that recognises it."""
