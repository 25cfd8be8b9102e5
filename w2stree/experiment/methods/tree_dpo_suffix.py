"""TreeDPO as Eq. 6 has it: whole continuations after a divergence, every pair of runs a term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from w2stree.experiment.methods import tree_dpo
from w2stree.experiment.methods.method import Explored, Method


class TreeDpoSuffixSection(tree_dpo.TreeDpoSection):
    """The paper's setting as it stands: all pairs, beta 0.1, the weak model as reference, no SFT
    term."""

    completion: Literal["suffix"] = "suffix"


def describe(
    explored: Explored, *, section: TreeDpoSuffixSection, seed: int
) -> Mapping[str, float]:
    """`num_suffix_rows`: how many rows training would find, before `max_rows`."""
    return {"num_suffix_rows": len(tree_dpo.rows_of(explored.forest, section, seed))}


METHOD = Method(
    name="tree_dpo_suffix",
    label="Strong + TreeDPO, suffixes",
    explanation="then taught which ways on in the weak model's runs paid, to their ends",
    is_tested=True,
    section=TreeDpoSuffixSection,
    needs=tree_dpo.METHOD.needs,
    train=tree_dpo.train,
    describe=describe,
    compared=tree_dpo.compared,
)
