"""The published schema says what the reader does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support.any_records import RECORDS
from support.strategies import episode

from w2stree.errors import InvalidInput
from w2stree.trajectories.json_schema import json_schema
from w2stree.trajectories.trajectory import Trajectory

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "trajectory.schema.json"
USUAL: dict[str, Any] = json.loads(episode("ab", 1.0).to_json())


def is_valid(record: Any) -> bool:
    jsonschema = pytest.importorskip("jsonschema")
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(record))


def test_the_published_schema_is_that_of_the_classes() -> None:
    again = "python -m w2stree.trajectories.json_schema > docs/trajectory.schema.json"
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(json_schema())), again


@given(RECORDS)
def test_what_is_read_is_valid_and_so_is_what_is_written(record: dict[str, Any]) -> None:
    assert is_valid(record)
    assert is_valid(json.loads(Trajectory.of_record(record).to_json()))


@pytest.mark.parametrize(
    "change",
    [
        {"task_id": None},
        {"more": 1},
        {"prompt": None},
        {"prompt": [{"role": "tool", "content": ""}]},
        {"prompt": [{"role": "user", "content": "", "name": "x"}]},
        {"steps": [{"action": "a"}]},
        {"steps": [{"observation": "o"}]},
        {"steps": [{"action": None, "observation": "o", "tool_calls": []}]},
        {"steps": [{"action": "a", "observation": "o", "token_ids": ["x"]}]},
        {"steps": [{"observation": "o", "tool_calls": [{"name": "f"}]}]},
        {"total_return": "1"},
        {"status": "lost"},
        {"origin": {"seed": "x"}},
        {"origin": {"sed": 1}},
        {"info": []},
    ],
)
def test_what_is_refused_is_not_valid(change: dict[str, Any]) -> None:
    record = USUAL | change
    with pytest.raises(InvalidInput):
        Trajectory.of_record(record)
    assert not is_valid(record)


def test_an_action_may_be_left_to_the_tool_calls() -> None:
    calls = [{"name": "f", "arguments": "{}", "id": None}]
    for record in (
        USUAL | {"steps": [{"observation": "o", "tool_calls": calls}]},
        USUAL | {"steps": [{"action": None, "observation": "o", "tool_calls": calls}]},
        USUAL | {"steps": [{"action": "f {}", "observation": "o", "tool_calls": calls}]},
    ):
        assert Trajectory.of_record(record).steps[0].action == "f {}"
        assert is_valid(record)
