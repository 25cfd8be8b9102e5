"""Configurations: what is wrong is named by file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from w2stree.errors import InvalidInput
from w2stree.experiment.config import load_config, shipped_configs
from w2stree.forest.merging import Merging


@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configurations_are_valid(name: str) -> None:
    assert load_config(name).name == name


def test_overrides_reach_nested_keys() -> None:
    config = load_config("miniature", ["seed=5", "tree_dpo.beta=0.5", "explore.samplings.0=x"][:2])
    assert (config.seed, config.tree_dpo.beta) == (5, 0.5)


def test_the_merge_rule_is_a_section() -> None:
    assert load_config("miniature").merge == Merging()
    overrides = ["merge.min_similarity=0.9", "merge.embed=all-MiniLM-L6-v2", "merge.guard=null"]
    expected = Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2", guard=None)
    assert load_config("miniature", overrides).merge == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tree_dpo.betta=0.5", r"miniature: tree_dpo.betta: Extra inputs are not permitted"),
        ("colour=red", r"miniature: colour: Extra inputs"),
        ("seed=-1", r"miniature: seed: Input should be greater than or equal to 0"),
        ("weak.path=models/x", r"miniature: weak: .*exactly one of path and architecture"),
        ("weak.architecture.max_length=64", r"weak.architecture.max_length is below max_length"),
        ("weak.architecture.num_heads=5", r"even multiple of num_heads"),
        ("environment.name=chess", r"environment: Input tag 'chess' .*'textworld_express'"),
        ("tree_dpo.reference=strong", r"tree_dpo.reference: Input should be 'weak' or 'start'"),
        ("seed", r"override 'seed': write key.path=value"),
        ("merge.min_similarity=0.9", r"merge: .*min_similarity is given without embed"),
        ("merge.guard=os:remove", r"merge: .*guard='os:remove' is not known; .*'state_words'"),
        ("merge.xi=0.9", r"merge.xi: "),
        ("seed.x=1", r"override 'seed.x=1': 'seed' is a value, not a section"),
        ("seed=[", r"override 'seed=\[': not a YAML value"),
    ],
)
def test_bad_keys_and_values_are_named(override: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_config("miniature", [override])


def test_files_that_are_not_configurations_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("a: [1,\nb: 2")
    with pytest.raises(InvalidInput, match=r"run.yaml: not valid YAML.*line 2"):
        load_config(file)
    file.write_text("- just\n- a list\n")
    with pytest.raises(InvalidInput, match="expected keys and values, found list"):
        load_config(file)
    with pytest.raises(InvalidInput, match=r"no such file, and no shipped .*quickstart"):
        load_config(tmp_path / "absent.yaml")
