"""The methods compared, a file each, in the order of the table.

A new one: a file with its `Method`, its line here, and a test. Its section in the configuration,
its stages, its evaluation and its place in the report follow.
"""

from __future__ import annotations

from w2stree.experiment.methods import (
    best_of_m,
    best_of_n,
    ceiling,
    ceiling_preferences,
    confident_dpo,
    demos_equal_steps,
    eto,
    failure_sft,
    mcts_sft,
    random,
    random_pair_dpo,
    recombined_sft,
    searched_sft,
    sft,
    tree_dpo,
    tree_dpo_suffix,
    verified_dpo,
    weak_sft_naive,
)

METHODS = (
    random.METHOD,
    sft.WEAK,
    sft.STRONG,
    demos_equal_steps.METHOD,
    weak_sft_naive.METHOD,
    best_of_n.METHOD,
    tree_dpo.METHOD,
    tree_dpo_suffix.METHOD,
    random_pair_dpo.METHOD,
    eto.METHOD,
    verified_dpo.METHOD,
    confident_dpo.METHOD,
    best_of_m.METHOD,
    mcts_sft.METHOD,
    failure_sft.METHOD,
    recombined_sft.METHOD,
    searched_sft.METHOD,
    ceiling.METHOD,
    ceiling_preferences.METHOD,
)
