"""The methods compared, a file each, in the order of the table.

A new one: a file with its `Method`, its line here, and a test. Its section in the configuration,
its stages, its evaluation and its place in the report follow.
"""

from __future__ import annotations

from w2stree.experiment.methods import (
    ceiling,
    confident_dpo,
    mcts_sft,
    random,
    sft,
    tree_dpo,
    tree_dpo_suffix,
)

METHODS = (
    random.METHOD,
    sft.WEAK,
    sft.STRONG,
    tree_dpo.METHOD,
    tree_dpo_suffix.METHOD,
    confident_dpo.METHOD,
    mcts_sft.METHOD,
    ceiling.METHOD,
)
