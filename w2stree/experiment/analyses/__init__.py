"""What can be measured on a finished run beside its returns: an analysis a file.

A new one: a file with its `Analysis`, its line here, a command in `cli/analyse.py`, and a test.
"""

from __future__ import annotations

from w2stree.experiment.analyses import assumption, bias, divergence_cause

ANALYSES = (bias.ANALYSIS, divergence_cause.ANALYSIS, assumption.ANALYSIS)
