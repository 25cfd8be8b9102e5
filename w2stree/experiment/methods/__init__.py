"""The methods compared, a file each, in the order of the table.

A new one: a file with its `Method`, its line here, and a test. Its section in the configuration,
its stages, its evaluation and its place in the report follow.
"""

from __future__ import annotations

from w2stree.experiment.methods import ceiling, mcts_sft, random, sft, tree_dpo, verified_dpo

METHODS = (
    random.METHOD,
    sft.WEAK,
    sft.STRONG,
    tree_dpo.METHOD,
    verified_dpo.METHOD,
    mcts_sft.METHOD,
    ceiling.METHOD,
)
