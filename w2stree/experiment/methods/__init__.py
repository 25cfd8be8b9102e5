"""The methods compared, a file each, in the order of the table.

A new one: a file with its `Method`, its line here, and a test. Its section in the configuration,
its stages, its evaluation and its place in the report follow.
"""

from __future__ import annotations

from w2stree.experiment.methods import (
    best_of_m,
    ceiling,
    confident_dpo,
    demos_equal_steps,
    mcts_sft,
    random,
    sft,
    tree_dpo,
    tree_dpo_suffix,
    weak_sft_naive,
)

METHODS = (
    random.METHOD,
    sft.WEAK,
    sft.STRONG,
    demos_equal_steps.METHOD,
    weak_sft_naive.METHOD,
    tree_dpo.METHOD,
    tree_dpo_suffix.METHOD,
    confident_dpo.METHOD,
    best_of_m.METHOD,
    mcts_sft.METHOD,
    ceiling.METHOD,
)
