"""Each format's records are taken for its own, and for no other's, whatever stands beside them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from support import (
    agenttraj_runs,
    anthropic_runs,
    eto_runs,
    foreign_runs,
    swe_agent_runs,
    tau2_bench_runs,
    tau_bench_runs,
)
from support.mangled import VALUES
from support.played_runs import RUNS

from w2stree.formats import FORMATS
from w2stree.formats.reading import recognised

WON = RUNS[0]
MESSAGES = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "Action: a"}]
TURNS = [{"from": "human", "value": "Go."}, {"from": "gpt", "value": "Action: a"}]

SAMPLES: list[tuple[str, Any]] = [
    ("eto", eto_runs.explored(WON)),
    ("eto", eto_runs.expert(WON)),
    ("eto", eto_runs.ended_by_error(WON)),
    ("agenttraj", agenttraj_runs.published(WON)),
    ("agenttraj", agenttraj_runs.inferred(WON)),
    ("swe_agent", swe_agent_runs.run_of(WON)),
    ("swe_agent", swe_agent_runs.of_0_7(WON)),
    ("swe_agent", swe_agent_runs.tried_again([WON, WON], 1)),
    ("tau_bench", tau_bench_runs.result(*tau_bench_runs.CANCELLED)),
    ("tau_bench", tau_bench_runs.failed()),
    ("tau2_bench", tau2_bench_runs.results(tau2_bench_runs.simulation())),
    ("tau2_bench", tau2_bench_runs.simulation()),
    ("atif", foreign_runs.atif_document()),
    ("responses", foreign_runs.responses_request()),
    ("verifiers", foreign_runs.verifiers_rollout()),
    ("verifiers", foreign_runs.verifiers_episode()),
    ("opentelemetry", foreign_runs.genai_spans()[0]),
    ("opentelemetry", foreign_runs.otlp_export()),
    ("messages", {"messages": MESSAGES, "reward": 1.0}),
    ("messages", anthropic_runs.booked()),
    ("sharegpt", {"conversations": TURNS, "reward": 1.0}),
]


@pytest.mark.parametrize(("name", "record"), SAMPLES)
def test_a_record_is_of_its_format_alone(name: str, record: Any) -> None:
    known = recognised(record)
    assert known is not None
    assert known.name == name
    others = {f.name for f in FORMATS if f.recognises(record)} - {name}
    assert others <= set(known.within)


@pytest.mark.parametrize(("name", "record"), SAMPLES)
@pytest.mark.parametrize(
    "beside",
    [
        {"task_id": "t", "reward": 1.0, "info": {"score": 1}},
        {"id": "t", "model": "m", "score": 0.5, "meta": {"model": "m"}},
        {"tools": [], "metadata": {}, "error": None, "split": "train", "w2stree": None},
    ],
)
def test_what_people_put_beside_changes_nothing(name: str, record: Any, beside: Any) -> None:
    known = recognised(beside | record)
    assert known is not None
    assert known.name == name


@given(VALUES)
def test_any_json_is_told_without_an_error(value: Any) -> None:
    for known in FORMATS:
        assert isinstance(known.recognises(value), bool)
