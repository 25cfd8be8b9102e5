"""Whatever is given, lint says something of it or refuses it by name; it never breaks."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.any_runs import RUNS
from support.lint_inputs import clean_conversations, clean_preferences, clean_tokens, run

from w2stree import InvalidInput, lint
from w2stree.linting.finding import Rule

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = sorted(
    {name for row in (clean_preferences()[0], clean_conversations()[0], clean_tokens()[0])
     for name in row}
    | {"attention_mask", "position_ids", "seq_lengths", "divergence", "tools"}
)  # fmt: skip


@given(runs=st.lists(RUNS, min_size=1, max_size=6))
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_any_runs(runs: list[Any]) -> None:
    found = lint(runs)
    assert found.num_given == len(runs)
    assert all(0 < finding.count <= finding.total for finding in found)
    assert str(found) and found.record()


@given(
    row=st.sampled_from([clean_preferences()[0], clean_conversations()[0], clean_tokens()[0]]),
    changed=st.dictionaries(st.sampled_from(FIELDS), PLAIN, min_size=1, max_size=3),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_any_row(row: dict[str, Any], changed: dict[str, Any]) -> None:
    """Among others that are right: the wrong one is counted, and nothing else is lost."""
    record = {**row, **changed}
    found = lint([row, record])
    assert found.num_given == 2
    assert found.num_linted in (1, 2)
    unreadable = [f for f in found if f.rule in (Rule.UNREADABLE, Rule.IDENTICAL_SIDES)]
    unlabelled = [f for f in found if f.rule is Rule.NO_TRAINABLE_TOKEN]
    assert sum(f.count for f in unreadable + unlabelled) == found.num_given - found.num_linted


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["gap", "divergence", "num_chosen", "chosen_return"])
def test_numbers_that_are_none_are_refused_by_field(field: str, value: float) -> None:
    """Tables have them where a value is missing."""
    found = lint([*clean_preferences(), {**clean_preferences()[0], field: value}])
    (finding,) = (f for f in found if f.rule is Rule.UNREADABLE)
    assert f"{field} is {value}" in finding.places[0]


def test_returns_of_any_size() -> None:
    runs = [run("cook", [a], value) for a, value in (("a", 1.7e308), ("b", -1.7e308))]
    assert Rule.RETURNS_OUT_OF_RANGE in {finding.rule for finding in lint(runs)}


def test_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nothing to lint"):
        lint([])
