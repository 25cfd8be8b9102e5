"""Pictures beside the messages: the record is refused by its place, never read without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import w2stree as w2s
from w2stree.errors import InvalidInput

SHAREGPT = {
    "conversations": [
        {"from": "human", "value": "<image>What is it?"},
        {"from": "gpt", "value": "Action: look"},
    ]
}
MESSAGES = {
    "messages": [
        {"role": "user", "content": "What is it?"},
        {"role": "assistant", "content": "Action: look"},
    ]
}


@pytest.mark.parametrize("said", [SHAREGPT, MESSAGES])
@pytest.mark.parametrize("name", ["images", "videos", "audios"])
def test_pictures_beside_the_messages(said: dict[str, Any], name: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    record = said | {"id": "x", "task_id": "x", "reward": 1.0}
    path.write_text(json.dumps(record | {name: []}) + "\n", encoding="utf-8")
    assert len(w2s.read_trajectories(path)) == 1
    path.write_text(json.dumps(record | {name: ["a.png"]}) + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=rf"runs.jsonl:1: {name}: pictures and sound are"):
        w2s.read_trajectories(path)
