"""The JSON Schema of a line of trajectories, made of the classes that are read and written.

python -m w2stree.trajectories.json_schema > docs/trajectory.schema.json
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from w2stree.trajectories.trajectory import ROLES, Trajectory

_ID = "urn:w2stree:trajectory:1"


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. What it cannot say: keys given twice, halves of surrogate pairs, equal numbers
    of ids and log-probabilities, an action that is made of tool calls, at most 200 levels."""
    made = msgspec.json.schema(Trajectory)
    for name, kind in made["$defs"].items():
        kind["additionalProperties"] = False
        required = kind.get("required", [])
        for field, of_field in kind["properties"].items():
            if field not in required and "anyOf" not in of_field:
                default = {"default": of_field.pop("default")} if "default" in of_field else {}
                kind["properties"][field] = {"anyOf": [of_field, {"type": "null"}]} | default
        if name == "Message":
            kind["properties"]["role"] = {"enum": list(ROLES)}
        if name == "Step":  # of tool calls the action is made
            required.remove("action")
            kind["anyOf"] = [
                {"required": ["action"], "properties": {"action": {"type": "string"}}},
                {
                    "required": ["tool_calls"],
                    "properties": {"tool_calls": {"type": "array", "minItems": 1}},
                },
            ]
            kind["properties"]["action"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
        if name == "ToolCall":
            required.append("arguments")
            kind["properties"]["arguments"] = {"type": "string"}
            kind["properties"]["name"] |= {"minLength": 1}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _ID, **made}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
